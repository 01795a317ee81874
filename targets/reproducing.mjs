// What the reproductions of every target share: changes to a package, what one shows, and a run of
// them all.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

export { changed } from "./onnxruntime/changed.js";

const RIGHT = "nothing wrong";

// Runs `body`, and prints what is wrong of its triples: what is there, what ought to be, and its name.
export async function show(device, body) {
  device.addEventListener("uncapturederror", ({ error }) => {
    console.log(`device: ${error.message.split("\n")[0]}`);
  });
  const wrong = (await body()).filter(([got, wanted]) => got !== wanted);
  for (const [got, wanted, what] of wrong) console.log(`${what}: ${got} instead of ${wanted}`);
  if (!wrong.length) console.log(RIGHT);
  process.exitCode = wrong.length ? 1 : 0;
  device.destroy();
}

// Runs every reproduction of a folder, and with --changes every change on every reproduction.
//
// `outcome(name, change)` is what one shows, "nothing wrong" or what is; a change of "" is the package
// as it is.  Exits with 1 if a reproduction shows nothing any more, which is to say that it was mended,
// or if a change does not mend its own reproduction and that one only.
export async function runAll(folder, packages, outcome = outcomeIn(folder)) {
  for (const name of packages) {
    const manifest = readFileSync(`${folder}../node_modules/${name}/package.json`, "utf8");
    console.log(`${name} ${JSON.parse(manifest).version}`);
  }
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".diff"))
    .map((name) => name.replace(".diff", ""));
  let isAsReported = true;
  for (const name of names) {
    const shown = await outcome(name, "");
    console.log(`${name}: ${shown === RIGHT ? "MENDED UPSTREAM" : `still wrong: ${shown}`}`);
    isAsReported = shown !== RIGHT && isAsReported;
  }
  for (const change of process.argv.includes("--changes") ? names : []) {
    const mended = [];
    for (const name of names) if ((await outcome(name, change)) === RIGHT) mended.push(name);
    console.log(`${change}.diff mends ${mended.join(", ") || "nothing"}`);
    isAsReported = mended.join() === change && isAsReported;
  }
  process.exitCode = isAsReported ? 0 : 1;
}

// What a reproduction shows that is a program of its own.
function outcomeIn(folder) {
  return (name, change) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${folder}${name}.mjs`, change]);
    const shown = `${stdout}`.trim();
    if ((status !== 0 && status !== 1) || !shown) throw new Error(`${name}: ${stderr}`);
    return status === 0 ? RIGHT : shown.split("\n").at(-1);
  };
}
