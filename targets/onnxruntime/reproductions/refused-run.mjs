// A run that is refused, as it ought to be, makes the session refuse every run after it.
import { outcome } from "./harness.js";

export default async function (ort) {
  const sum = { op: "Add", inputs: ["x", "x"], output: "y" };
  const product = { op: "Mul", inputs: ["x", "x"], output: "z" };
  const session = await ort.sessionOf([sum, product]);
  await outcome(session, ort.tensor(1, 2, 3)); // The model takes four.
  const x = ort.tensor(1, 2, 3, 4);
  return [
    [await outcome(session, x, ["z"]), "1 4 9 16", "the next run, of one of the outputs"],
    [await outcome(session, x), "2 4 6 8", "the run after it"],
  ];
}
