// What the reproductions of every target share: changes to a package, and a run of them all.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";

export { changed } from "./onnxruntime/changed.js";

// Runs every reproduction of a folder, and with --changes every change on every reproduction.
//
// Exits with 1 if a reproduction shows nothing any more, which is to say that it was mended, or if a
// change does not mend its own reproduction and that one only.
export function runAll(folder, packages) {
  const require = createRequire(folder + "all.mjs");
  for (const name of packages) {
    const manifest = require.resolve(`${name}/package.json`);
    console.log(`${name} ${JSON.parse(readFileSync(manifest, "utf8")).version}`);
  }
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".diff"))
    .map((name) => name.replace(".diff", ""));
  let isAsReported = true;
  for (const name of names) {
    const stillWrong = isWrong(folder, name, "");
    console.log(`${name}: ${stillWrong ? "still wrong" : "MENDED UPSTREAM"}`);
    isAsReported = stillWrong && isAsReported;
  }
  for (const change of process.argv.includes("--changes") ? names : []) {
    const mended = names.filter((name) => !isWrong(folder, name, change));
    console.log(`${change}.diff mends ${mended.join(", ") || "nothing"}`);
    isAsReported = mended.join() === change && isAsReported;
  }
  process.exitCode = isAsReported ? 0 : 1;
}

// Whether the reproduction shows its mistake; "" is the package as it is.
function isWrong(folder, name, change) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${folder}${name}.mjs`, change]);
  if ((status !== 0 && status !== 1) || !`${stdout}`.trim()) throw new Error(`${name}: ${stderr}`);
  return status === 1;
}
