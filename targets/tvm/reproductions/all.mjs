// Runs every reproduction, and with --changes every change on every reproduction.
//
//     node targets/tvm/reproductions/all.mjs [--changes] [--chromium]

import { fileURLToPath } from "node:url";
import { runAll, runAllInPage } from "../../reproducing.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
const packages = ["@mlc-ai/web-runtime"];
if (process.argv.includes("--chromium")) {
  await runAllInPage(folder, packages, "targets/tvm/reproductions.html");
} else {
  await runAll(folder, packages);
}
