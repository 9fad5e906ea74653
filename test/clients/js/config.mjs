// What the Python side says about the quorum it started: one JSON file, named in the first argument.
import { readFileSync } from "node:fs";

export const config = JSON.parse(readFileSync(process.argv[2], "utf8"));

// Prints the result for the Python side: one line of JSON, the last one.
export function result(o) {
  console.log(JSON.stringify(o, (_, v) => (typeof v === "bigint" ? v.toString() : v)));
}
