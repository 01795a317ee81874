// The sanitizer for a program in JavaScript: it reports mistakes with WebGPU, each with the lines that
// take part, as warnings of the console.
//
//     import { sanitize } from "./gpusim/layer/sanitize.js";  // before the device is opened
//     sanitize();
//
// It watches through adversary.js, which disturbs nothing here.  Which calls are mistakes is in rules.js.

import { install } from "./adversary.js";
import { Rules } from "./rules.js";

// `onReport` gets each {rule, finding, places}.  The result has `finish`, for what shows only at the end.
export function sanitize({ onReport = warn } = {}) {
  const rules = new Rules(onReport);
  install({ tell: (event) => rules.see(event) });
  return rules;
}

function warn({ rule, finding, places }) {
  const lines = places.map(({ doing, site }) => `  ${doing} at ${site || "an unknown place"}`);
  console.warn([`gpusim sanitize: ${finding} [${rule}]`, ...lines].join("\n"));
}
