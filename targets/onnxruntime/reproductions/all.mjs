// Runs every reproduction in Chromium, and with --changes every change on every reproduction.
//
//     node targets/onnxruntime/reproductions/all.mjs [--changes]
//
// Needs a Python with gpusim on the PATH, and `npm --prefix targets/onnxruntime install`.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runAll } from "../../reproducing.mjs";

const PAGE = fileURLToPath(new URL("../reproductions.html", import.meta.url));
const command = ["-m", "properties.targets.browser", PAGE];
const page = spawn("python", command, { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: page.stdout })[Symbol.asyncIterator]();

// The page answers a line with what is wrong.
async function outcome(name, change) {
  page.stdin.write(`${name} ${change}\n`);
  const { value, done } = await answers.next();
  if (done) throw new Error(`${name} ${change}: the page has ended`);
  return value;
}

await runAll(fileURLToPath(new URL(".", import.meta.url)), ["onnxruntime-web"], outcome);
page.stdin.end();
