// Runs every reproduction, and with --changes every change on every reproduction.
//
//     node targets/tvm/reproductions/all.mjs [--changes]

import { fileURLToPath } from "node:url";
import { runAll } from "../../reproducing.mjs";

await runAll(fileURLToPath(new URL(".", import.meta.url)), ["@mlc-ai/web-runtime"]);
