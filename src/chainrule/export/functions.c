/* y = b + x W */
static void dense(float *y, const float *x, const float *W, const float *b, int n, int m) {
    int i, j;
    for (j = 0; j < m; j++) y[j] = b[j];
    for (i = 0; i < n; i++)
        for (j = 0; j < m; j++) y[j] += x[i] * W[i * m + j];
}

static void relu(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i];
}

static void leaky_relu(float *y, const float *x, int n, float slope) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] < 0 ? slope * x[i] : x[i];
}

static void prelu(float *y, const float *x, const float *alpha, int n, int features) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] < 0 ? alpha[i % features] * x[i] : x[i];
}

static void elu(float *y, const float *x, int n, float alpha, float scale) {
    int i;
    for (i = 0; i < n; i++) y[i] = scale * (x[i] < 0 ? alpha * expm1f(x[i]) : x[i]);
}

static float logistic(float x) {
    float e = expf(x < 0 ? x : -x); /* at most 1 */
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

static void sigmoid(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = logistic(x[i]);
}

static void tanh_(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = tanhf(x[i]);
}

static void hard_sigmoid(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) {
        float v = x[i] / 6 + 0.5f;
        y[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
}

/* log(1 + e^x), which cannot overflow */
static float log_one_plus_exp(float x) {
    return (x > 0 ? x : 0) + log1pf(expf(x > 0 ? -x : x));
}

static void softplus(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = log_one_plus_exp(x[i]);
}

static void silu(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] * logistic(x[i]);
}

static void gelu(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] * 0.5f * erfcf(-x[i] * 0.70710678f);
}

static void gelu_tanh(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) {
        float v = x[i] > 100 ? 100 : x[i] < -100 ? -100 : x[i];
        y[i] = x[i] * logistic(1.5957691f * (v + 0.044715f * v * v * v));
    }
}

static void mish(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] * tanhf(log_one_plus_exp(x[i]));
}

static void exp_(float *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = expf(x[i] > 87 ? 87 : x[i]);
}

/* y = (x - center) factor + shift, for each feature */
static void affine(float *y, const float *x, const float *center, const float *factor, const float *shift, int n,
                   int features) {
    int i;
    for (i = 0; i < n; i++) y[i] = (x[i] - center[i % features]) * factor[i % features] + shift[i % features];
}

/* y = gamma (x - mean) / sqrt(variance + epsilon) + beta */
static void layer_norm(float *y, const float *x, const float *gamma, const float *beta, int n, int features,
                       float epsilon) {
    int at, i;
    for (at = 0; at < n; at += features) {
        float mean = 0, variance = 0, root;
        for (i = 0; i < features; i++) mean += x[at + i] / (float)features;
        for (i = 0; i < features; i++) variance += (x[at + i] - mean) * (x[at + i] - mean) / (float)features;
        root = sqrtf(variance + epsilon);
        for (i = 0; i < features; i++) y[at + i] = gamma[i] * (x[at + i] - mean) / root + beta[i];
    }
}

/* y = gamma x / sqrt(mean(x^2) + epsilon) */
static void rms_norm(float *y, const float *x, const float *gamma, int n, int features, float epsilon) {
    int at, i;
    for (at = 0; at < n; at += features) {
        float square = 0, root;
        for (i = 0; i < features; i++) square += x[at + i] * x[at + i] / (float)features;
        root = sqrtf(square + epsilon);
        for (i = 0; i < features; i++) y[at + i] = gamma[i] * x[at + i] / root;
    }
}

/* y = e^x / sum(e^x) */
static void softmax(float *y, const float *x, int n, int features) {
    int at, i;
    for (at = 0; at < n; at += features) {
        float most = x[at], total = 0;
        for (i = 1; i < features; i++) most = x[at + i] > most ? x[at + i] : most;
        for (i = 0; i < features; i++) total += y[at + i] = expf(x[at + i] - most);
        for (i = 0; i < features; i++) y[at + i] /= total;
    }
}

/* y = b + the sum over a window of x W; images are (height, width, channels) */
static void conv2d(float *y, const float *x, const float *W, const float *b, int height, int width, int channels,
                   int kh, int kw, int filters, int groups, int down, int right, int dilate_down, int dilate_right,
                   int top, int left, int rows, int columns) {
    int r, c, i, j, k, f, share = filters / groups, each = channels / groups;
    for (r = 0; r < rows; r++)
        for (c = 0; c < columns; c++, y += filters) {
            for (f = 0; f < filters; f++) y[f] = b[f];
            for (i = 0; i < kh; i++)
                for (j = 0; j < kw; j++) {
                    int h = r * down - top + i * dilate_down, v = c * right - left + j * dilate_right;
                    if (h < 0 || h >= height || v < 0 || v >= width) continue;
                    for (f = 0; f < filters; f++)
                        for (k = 0; k < each; k++)
                            y[f] += x[(h * width + v) * channels + f / share * each + k]
                                    * W[((i * kw + j) * each + k) * filters + f];
                }
        }
}

static void max_pool(float *y, const float *x, int height, int width, int channels, int kh, int kw, int down,
                     int right, int top, int left, int rows, int columns) {
    int r, c, i, j, k;
    for (r = 0; r < rows; r++)
        for (c = 0; c < columns; c++, y += channels) {
            for (k = 0; k < channels; k++) y[k] = -INFINITY;
            for (i = 0; i < kh; i++)
                for (j = 0; j < kw; j++) {
                    int h = r * down - top + i, v = c * right - left + j;
                    if (h < 0 || h >= height || v < 0 || v >= width) continue;
                    for (k = 0; k < channels; k++) {
                        float pixel = x[(h * width + v) * channels + k];
                        y[k] = pixel > y[k] ? pixel : y[k];
                    }
                }
        }
}

/* The mean over a window, without the padding */
static void average_pool(float *y, const float *x, int height, int width, int channels, int kh, int kw, int down,
                         int right, int top, int left, int rows, int columns) {
    int r, c, i, j, k;
    for (r = 0; r < rows; r++)
        for (c = 0; c < columns; c++, y += channels) {
            int count = 0;
            for (k = 0; k < channels; k++) y[k] = 0;
            for (i = 0; i < kh; i++)
                for (j = 0; j < kw; j++) {
                    int h = r * down - top + i, v = c * right - left + j;
                    if (h < 0 || h >= height || v < 0 || v >= width) continue;
                    for (k = 0; k < channels; k++) y[k] += x[(h * width + v) * channels + k];
                    count++;
                }
            for (k = 0; k < channels; k++) y[k] /= (float)count;
        }
}

/* The other columns, then the rows of W that the chosen columns name; NaN for a number that is not a category */
static void embedding(float *y, const float *x, const float *W, const int *chosen, const int *others,
                      const int *first, const int *many, int k, int o, int width) {
    int i, j;
    for (i = 0; i < o; i++) *y++ = x[others[i]];
    for (i = 0; i < k; i++) {
        float number = x[chosen[i]];
        int known = number >= 0 && number < (float)many[i] && number == floorf(number);
        const float *row = W + (first[i] + (known ? (int)number : 0)) * width;
        for (j = 0; j < width; j++) *y++ = known ? row[j] : NAN;
    }
}

static void add(float *y, const float *x, const float *f, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] + f[i];
}

static void times(float *y, const float *x, int n, float factor) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] * factor;
}

/* The mean of two models, of which the second has this share */
static void mix(float *y, const float *x, const float *f, int n, float share) {
    int i;
    for (i = 0; i < n; i++) y[i] = (1 - share) * x[i] + share * f[i];
}

/* The probabilities of both classes, from that of the second */
static void both(float *y, const float *x) {
    y[1] = x[0];
    y[0] = 1 - y[1];
}

/* Values in double precision as the network takes them */
static void single(float *y, const double *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = (float)x[i];
}

static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static double flag(const char *text, const char *no, const char *yes) {
    return text == 0 ? NAN : same(text, yes) ? 1 : same(text, no) ? 0 : NAN;
}

static const char *given(const char *text, const char *missing, int empty) {
    return text == 0 || (*text == 0 && !empty) ? missing : text;
}

static void widen(double *y, const float *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = x[i];
}

static void pick(double *y, const double *x, int index) {
    y[0] = x[index];
}

static void pick_all(double *y, const double *x, const int *index, int count) {
    int i;
    for (i = 0; i < count; i++) y[i] = x[index[i]];
}

static void missing(double *y, const double *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = isnan(x[i]) ? 1 : 0;
}

static void filled(double *y, const double *x, const double *values, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = isnan(x[i]) ? values[i] : x[i];
}

/* Numbers that are scaled robustly and clipped smoothly; 0 for missing ones */
static void squash(double *y, const double *x, const double *center, const double *factor, int n, double most) {
    int i;
    for (i = 0; i < n; i++) {
        double z = (x[i] - center[i]) * factor[i], v = z / sqrt(1 + z / most * (z / most));
        if (fabs(x[i]) > 1e100) v = x[i] > 0 ? most : -most; /* infinite, as in training */
        y[i] = isnan(v) ? 0 : v;
    }
}

/* The row of the table for a text, and the last row for any other text */
static void lookup(double *y, const char *text, const float *table, const char *const *keys, int count, int width) {
    int i = 0, j;
    while (i < count && !same(text, keys[i])) i++;
    for (j = 0; j < width; j++) y[j] = table[i * width + j];
}

/* The row of the table for a number among the levels; the row `hole` for one that is not finite, `last` for others */
static void level(double *y, const double *x, int index, const float *table, const double *levels, int count, int width,
                  int hole, int last) {
    int i = 0, j;
    while (i < count && x[index] != levels[i]) i++;
    if (i == count) i = isfinite(x[index]) ? last : hole;
    for (j = 0; j < width; j++) y[j] = table[i * width + j];
}

/* Days since 1 January 1970 of a date */
static double days_since_1970(double year, double month, double day) {
    double y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9; /* a year from March */
    return 365 * y + floor(y / 4) - floor(y / 100) + floor(y / 400) + floor((153 * m + 2) / 5) + day - 719469;
}

static const char *after_spaces(const char *text) {
    while (*text == ' ' || (*text >= '\t' && *text <= '\r')) text++;
    return text;
}

/* Whether a text is this word, in letters of either case and between spaces */
static int is_word(const char *text, const char *word) {
    text = after_spaces(text);
    while (*word && (*text == *word || (*text >= 'A' && *text <= 'Z' && *text + 32 == *word))) text++, word++;
    return *word == 0 && *after_spaces(text) == 0;
}

/* Whether a text is missing, empty or one of the words for a missing value, a list that ends in 0 */
static int is_missing(const char *text, const char *const *holes) {
    const char *a, *b;
    if (text == 0 || *(text = after_spaces(text)) == 0) return 1;
    for (; holes && *holes; holes++) {
        for (a = text, b = *holes; *b && *a == *b; b++) a++;
        if (*b == 0 && *after_spaces(a) == 0) return 1;
    }
    return 0;
}

/* Read a number; beyond 1e100 it is infinite. Return whether the text is one. */
static int is_number(const char *text, double *y) {
    double value = 0, sign = 1;
    int digits = 0, point = 0, zeros = 0, scale = 0, power = 0, down;
    text = after_spaces(text);
    if (*text == '-') sign = -1;
    if (*text == '-' || *text == '+') text++;
    *y = is_word(text, "nan") ? NAN : sign * INFINITY;
    if (isnan(*y) || is_word(text, "inf") || is_word(text, "infinity")) return *text > ' ';
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
        if (*text == '.') {
            point = 1;
            continue;
        }
        digits = 1;
        scale -= point;
        zeros++; /* zeros at the end would only cost precision */
        if (*text == '0') continue;
        for (; zeros > 0; zeros--) value *= 10;
        value += *text - '0';
    }
    if (!digits) return 0;
    if (*text == 'e' || *text == 'E') {
        down = *++text == '-';
        if (*text == '-' || *text == '+') text++;
        if (*text < '0' || *text > '9') return 0;
        for (; *text >= '0' && *text <= '9'; text++) power = power < 9999 ? 10 * power + (*text - '0') : power;
        scale += down ? -power : power;
    }
    scale += zeros;
    if (value > 0) value = scale < 0 ? value / pow(10, -scale) : value * pow(10, scale);
    *y = sign * (value > 1e100 ? INFINITY : value);
    return *after_spaces(text) == 0 && !isnan(value);
}

/* Read a date in a format of %d, %m, %Y, %H, %M and %S as seconds since 1970; NaN for other texts */
static double date_in(const char *text, const char *format, int utc) {
    static const char codes[] = "YmdHMS";
    double part[6] = {1900, 1, 1, 0, 0, 0}, place = 0.1, next;
    for (text = after_spaces(text); *format; format++) {
        int k = 0, count = 0;
        if (*format != '%') {
            if (*text++ != *format) return NAN;
            continue;
        }
        for (format++; codes[k] != *format;) k++;
        for (part[k] = 0; count < (k ? 2 : 4) && *text >= '0' && *text <= '9'; count++)
            part[k] = 10 * part[k] + (*text++ - '0');
        if (count < (k ? 1 : 4)) return NAN;
        if (k == 5 && *text == '.' && text[1] >= '0' && text[1] <= '9')
            for (text++; *text >= '0' && *text <= '9'; place /= 10) part[5] += (*text++ - '0') * place;
    }
    if (utc && *text == 'Z') text++;
    if (*after_spaces(text) || !(part[1] >= 1 && part[1] <= 12 && part[2] >= 1)) return NAN;
    if (!(part[3] < 24 && part[4] < 60 && part[5] < 61)) return NAN;
    next = part[1] == 12 ? days_since_1970(part[0] + 1, 1, 1) : days_since_1970(part[0], part[1] + 1, 1);
    if (part[2] > next - days_since_1970(part[0], part[1], 1)) return NAN;
    return ((days_since_1970(part[0], part[1], part[2]) * 24 + part[3]) * 60 + part[4]) * 60 + part[5];
}

/* Read a date in ISO format or in one of these formats, a list that ends in 0 */
static double a_date(const char *text, const char *const *formats, int utc) {
    static const char *const iso[] = {
        "%Y-%m-%d", "%Y-%m", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", 0};
    const char *const *of;
    double found = NAN;
    if (text == 0) return NAN;
    for (of = iso; *of && isnan(found); of++) found = date_in(text, *of, utc);
    for (of = formats; of && *of && isnan(found); of++) found = date_in(text, *of, utc);
    return found;
}

static int read_number(double *y, const char *text, const char *const *holes) {
    int missing = is_missing(text, holes), good = missing || is_number(text, y);
    if (missing || !good) *y = NAN;
    return good;
}

static int read_date(double *y, const char *text, const char *const *holes, const char *const *formats, int utc) {
    *y = a_date(text, formats, utc);
    return is_missing(text, holes) || !isnan(*y);
}

static int read_text(const char **y, const char *text, const char *const *holes) {
    *y = text && *after_spaces(text) && is_missing(text, holes) ? 0 : text;
    return 1;
}

static int read_boolean(const char **y, const char *text, const char *const *holes) {
    *y = 0;
    if (is_missing(text, holes)) return 1;
    if (is_word(text, "true") || is_word(text, "1")) *y = "true";
    if (is_word(text, "false") || is_word(text, "0")) *y = "false";
    return *y != 0;
}

/* Whether a text of digits is the whole number of a key, which has no zeros or plus before it */
static int same_digits(const char *text, const char *key) {
    text = after_spaces(text);
    if (*text == '+') text++;
    if (*text == '-' && *text == *key) text++, key++;
    while (*text == '0' && text[1] >= '0' && text[1] <= '9') text++;
    while (*key && *text == *key) text++, key++;
    return *key == 0 && *after_spaces(text) == 0;
}

/* Read a category that is a number: 2, +2 and 2.0 are one */
static int read_key(const char **y, const char *text, const char *const *holes, const char *const *keys, int count,
                    int whole) {
    double value, known;
    int i, plain = whole;
    const char *c;
    *y = 0;
    if (is_missing(text, holes)) return 1;
    if (!is_number(text, &value) || (whole && !(value == floor(value) && isfinite(value)))) return 0;
    for (c = text; *c; c++) plain = plain && *c != '.' && *c != 'e' && *c != 'E';
    for (*y = text, i = 0; i < count; i++)
        if (plain ? same_digits(text, keys[i]) : is_number(keys[i], &known) && known == value) *y = keys[i];
    return 1;
}

/* Parts of a date: plain ones are -1 - k, those on a circle k, each as a sine and a cosine */
static void dates(double *y, double seconds, const int *parts, int count) {
    static const double periods[6] = {0, 12, 30, 24, 7, 0};
    double days = floor(seconds / 86400), era = floor((days + 719468) / 146097); /* of 400 years from March */
    double rest = days + 719468 - era * 146097, of[6], within, year, start, month;
    int i;
    within = floor((rest - floor(rest / 1460) + floor(rest / 36524) - floor(rest / 146096)) / 365);
    year = within + 400 * era;
    start = rest - 365 * within - floor(within / 4) + floor(within / 100);
    month = floor((5 * start + 2) / 153);
    of[2] = start - floor((153 * month + 2) / 5) + 1;
    of[1] = month < 10 ? month + 3 : month - 9;
    of[0] = month < 10 ? year : year + 1;
    of[3] = floor((seconds - days * 86400) / 3600);
    of[4] = days + 3 - 7 * floor((days + 3) / 7) + 1; /* 1 January 1970 was a Thursday */
    of[5] = seconds;
    for (i = 0; i < count; i++) {
        int k = parts[i];
        double value = of[k < 0 ? -1 - k : k], angle = value * (6.283185307179586 / periods[k < 0 ? 1 : k]);
        if (!isfinite(seconds)) value = angle = NAN;
        *y++ = k < 0 ? (float)value : sin(angle);
        if (k >= 0) *y++ = cos(angle);
    }
}

static uint32_t mixed(uint32_t k) {
    k *= 0xCC9E2D51u;
    return (k << 15 | k >> 17) * 0x1B873593u;
}

/* MurmurHash3 of 32 bits (Appleby, 2011), of bytes that come one by one: {hash, last bytes, length} */
static void murmur_add(uint32_t *s, unsigned char byte) {
    s[1] |= (uint32_t)byte << 8 * (s[2]++ & 3);
    if ((s[2] & 3) == 0) {
        s[0] ^= mixed(s[1]);
        s[0] = (s[0] << 13 | s[0] >> 19) * 5 + 0xE6546B64u;
        s[1] = 0;
    }
}

static uint32_t murmur_end(const uint32_t *s) {
    uint32_t h = s[0] ^ mixed(s[1]) ^ s[2];
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    return h ^ h >> 16;
}

/* The next character of a UTF-8 text, and how many bytes it has */
static uint32_t character(const char *text, int *bytes) {
    const unsigned char *s = (const unsigned char *)text;
    int more = s[0] < 0xC0 ? 0 : s[0] < 0xE0 ? 1 : s[0] < 0xF0 ? 2 : 3, i;
    uint32_t c = more == 0 ? s[0] : s[0] & (0x3Fu >> more);
    for (i = 1; i <= more && (s[i] & 0xC0) == 0x80; i++) c = c << 6 | (s[i] & 0x3Fu);
    *bytes = i;
    return c;
}

static int is_in_a_word(uint32_t c) {
    int i = 0;
    while (i < (int)(sizeof word_ends / sizeof word_ends[0]) && c > word_ends[i]) i++;
    return i < (int)(sizeof word_ends / sizeof word_ends[0]) && c >= word_starts[i];
}

/* The lower-case letter, without the context that Greek has for a sigma at the end of a word */
static uint32_t lower(uint32_t c) {
    int i;
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    for (i = 0; i < (int)(sizeof upper_case / sizeof upper_case[0]); i++)
        if (c == upper_case[i]) return lower_case[i];
    return c;
}

static void murmur_add_character(uint32_t *s, uint32_t c) {
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    murmur_add(s, (unsigned char)(more == 0 ? c : (0xF0u << (3 - more) & 0xFFu) | c >> 6 * more));
    while (more-- > 0) murmur_add(s, (unsigned char)(0x80u | (c >> 6 * more & 0x3Fu)));
}

/* Words of two letters or more, hashed, counted and weighted, and reduced to a few numbers */
static void words(double *y, const char *text, const float *idf, const float *components, const float *mean,
                  const float *scale, float *counts, int kept, int buckets) {
    uint32_t s[3] = {0, 0, 0};
    int letters = 0, bytes, i, j;
    double square = 0;
    for (j = 0; j < buckets; j++) counts[j] = 0;
    for (;; text += bytes) {
        uint32_t c = character(text, &bytes);
        if (c != 0 && is_in_a_word(c)) {
            murmur_add_character(s, lower(c));
            letters++;
            continue;
        }
        if (letters > 1) {
            uint32_t hash = murmur_end(s);
            counts[(hash & 0x80000000u ? 0u - hash : hash) % (uint32_t)buckets]++;
        }
        s[0] = s[1] = s[2] = 0;
        letters = 0;
        if (c == 0) break;
    }
    for (j = 0; j < buckets; j++) {
        if (counts[j] > 0) counts[j] = (1 + logf(counts[j])) * idf[j];
        square += (double)counts[j] * counts[j];
    }
    for (i = 0; i < kept; i++) {
        double total = 0;
        for (j = 0; j < buckets; j++)
            if (counts[j] > 0) total += (double)components[i * buckets + j] * counts[j];
        y[i] = ((square > 0 ? total / sqrt(square) : 0) - mean[i]) / scale[i];
    }
}

/* Robust scale: 0 for missing values */
static void scaled(double *y, const double *x, const double *center, const double *factor, int n) {
    int i;
    for (i = 0; i < n; i++) {
        double z = (x[i] - center[i]) * factor[i];
        y[i] = isnan(z) ? 0 : z > 100 ? 100 : z < -100 ? -100 : z;
    }
}

/* Smooth clip to -3 ... 3 */
static double clipped(double z) {
    return z / sqrt(1 + z / 3 * (z / 3));
}

static void clip(float *y, const double *x, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = (float)clipped(x[i]);
}

/* The clipped values, then a ramp from -1/2 to 1/2 for each piece of their ranges */
static void encode(float *y, const double *x, const int *index, const double *low, const double *width, int n,
                   int count) {
    int i;
    for (i = 0; i < n; i++) y[i] = (float)clipped(x[i]);
    for (i = 0; i < count; i++) {
        double v = (clipped(x[index[i]]) - low[i]) / width[i];
        y[n + i] = (float)((v < 0 ? 0 : v > 1 ? 1 : v) - 0.5);
    }
}

static double between(double y, double low, double high) {
    return y < low ? low : y > high ? high : y;
}

static void unit(double *y, const float *x, const double *center, const double *scale, const double *low,
                 const double *high, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = between(center[i] + scale[i] * x[i], low[i], high[i]);
}

/* The same for the logarithm of a target plus `shift` */
static void exp_unit(double *y, const float *x, const double *center, const double *scale, const double *low,
                     const double *high, const double *shift, const double *most, int n) {
    int i;
    for (i = 0; i < n; i++) {
        double v = center[i] + scale[i] * x[i];
        y[i] = between(exp(v < most[i] ? v : most[i]) - shift[i], low[i], high[i]);
    }
}
