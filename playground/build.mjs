// Builds the page into the package: an HTML and a CSS file and two of JavaScript, the same bytes every time.
//   node build.mjs         types from the server's schema (where it is there), then the bundle
//   node build.mjs types   the types alone
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { build } from "esbuild";
import { compile } from "json-schema-to-typescript";

const here = new URL(".", import.meta.url);
const schema = process.env.SCHEMA ?? new URL("../src/chainrule/playground/schema.json", here).pathname;
const output = new URL("../src/chainrule/playground/static/", here);

async function types() {
  if (!existsSync(schema)) return;
  const text = await compile(JSON.parse(await readFile(schema, "utf8")), "Protocol", {
    bannerComment: "// Written by `npm run types` from src/chainrule/playground/schema.json: edit that.",
    additionalProperties: false,
    unreachableDefinitions: true,
    format: false,
  });
  await writeFile(new URL("src/schema.d.ts", here), text);
}

async function page() {
  await mkdir(output, { recursive: true });
  await build({
    absWorkingDir: here.pathname,
    entryPoints: { playground: "src/main.ts" },
    outdir: output.pathname,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
  });
  for (const name of ["index.html", "start.js"]) await copyFile(new URL(`src/${name}`, here), new URL(name, output));
}

await types();
if (process.argv[2] !== "types") await page();
