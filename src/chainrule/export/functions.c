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

/* A number of this many digits, and the text after them; NaN if there are fewer */
static double digits(const char **text, int count) {
    double value = 0;
    for (; count > 0; count--, (*text)++) {
        if (**text < '0' || **text > '9') return NAN;
        value = 10 * value + (**text - '0');
    }
    return value;
}

static double iso_seconds(const char *text) {
    double year, month, day, hour = 0, minute = 0, second = 0, next, place = 0.1;
    if (text == 0) return NAN;
    year = digits(&text, 4);
    if (*text++ != '-') return NAN;
    month = digits(&text, 2);
    if (*text++ != '-') return NAN;
    day = digits(&text, 2);
    if (*text == 'T' || *text == ' ') {
        text++;
        hour = digits(&text, 2);
        if (*text++ != ':') return NAN;
        minute = digits(&text, 2);
        if (*text == ':') {
            text++;
            second = digits(&text, 2);
            if (*text == '.')
                for (text++; *text >= '0' && *text <= '9'; text++, place /= 10) second += (*text - '0') * place;
        }
    }
    if (*text || !(month >= 1 && month <= 12 && day >= 1 && hour < 24 && minute < 60 && second < 61)) return NAN;
    next = month == 12 ? days_since_1970(year + 1, 1, 1) : days_since_1970(year, month + 1, 1);
    if (day > next - days_since_1970(year, month, 1)) return NAN;
    return ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
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
