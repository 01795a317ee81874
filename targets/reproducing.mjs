// Runs the reproductions of a target, each under Node or all in Chromium.

import { spawn, spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { RIGHT } from "./shown.js";

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));

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

// The same in Chromium, by a page of the checkout that answers a line of a name and a change.  Needs
// a Python with gpusim on the PATH.
export async function runAllInPage(folder, packages, page) {
  const command = ["-m", "properties.targets.browser", page];
  const browser = spawn("python", command, { cwd: CHECKOUT, stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: browser.stdout })[Symbol.asyncIterator]();
  await runAll(folder, packages, async (name, change) => {
    browser.stdin.write(`${name} ${change}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error(`${name} ${change}: the page has ended`);
    return value;
  });
  browser.stdin.end();
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
