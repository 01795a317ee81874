// Reads sequences of events, a JSON array a line, and prints the reports of each as one line of JSON.

import { createInterface } from "node:readline";
import { Rules } from "../../../gpusim/layer/rules.js";

for await (const line of createInterface({ input: process.stdin })) {
  const reports = [];
  const rules = new Rules((report) => reports.push(report));
  JSON.parse(line).forEach((event) => rules.see(event));
  rules.finish();
  console.log(JSON.stringify(reports));
}
