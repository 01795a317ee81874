// A run that is refused, as it ought to be, makes the session refuse every run after it.
import { outcome } from "./harness.js";

export default async function (ort) {
  const session = await ort.session("Add", ["x", "x"]);
  await outcome(session, ort.tensor(1, 2, 3)); // The model takes four.
  return [[await outcome(session, ort.tensor(1, 2, 3, 4)), "2 4 6 8", "the next run"]];
}
