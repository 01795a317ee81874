// Runs every reproduction, and with --changes every change on every reproduction.
//
//     node targets/tvm/reproductions/all.mjs [--changes]
//
// Exits with 1 if a reproduction shows nothing any more, which is to say that it was mended, or if a
// change does not mend its own reproduction and that one only.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".diff"))
  .map((name) => name.replace(".diff", ""));

// Whether the reproduction shows its mistake; "" is the package as it is.
function isWrong(name, change) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${folder}${name}.mjs`, change]);
  if (status !== 0 && status !== 1 || !`${stdout}`.trim()) throw new Error(`${name}: ${stderr}`);
  if (!change) console.log(`${name}: ${status ? "still wrong" : "MENDED UPSTREAM"}`);
  return status === 1;
}

const manifest = createRequire(import.meta.url).resolve("@mlc-ai/web-runtime/package.json");
console.log(`@mlc-ai/web-runtime ${JSON.parse(readFileSync(manifest, "utf8")).version}`);
let isAsReported = true;
for (const name of names) isAsReported = isWrong(name, "") && isAsReported;
if (process.argv.includes("--changes")) {
  for (const change of names) {
    const mended = names.filter((name) => !isWrong(name, change));
    console.log(`${change}.diff mends ${mended.join(", ") || "nothing"}`);
    isAsReported = mended.join() === change && isAsReported;
  }
}
process.exit(isAsReported ? 0 : 1);
