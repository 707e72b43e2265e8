// Creates a sandbox, writes a file, runs a command, follows another, reads a file back, and deletes the sandbox.
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const api = createClient<paths, "application/json">({
  baseUrl: process.env.LM_SANDBOX_HOST ?? "http://127.0.0.1:8000",
  headers: { "X-API-Key": process.env.LM_SANDBOX_API_KEY },
});
const [EXEC, FILES] = ["/v1/sandboxes/{id}/exec", "/v1/sandboxes/{id}/files"] as const;

// The data of an answer; a refusal is thrown.
function data<T>(answer: { data?: T; error?: components["schemas"]["Error"] }): T {
  if (answer.error) throw new Error(`${answer.error.error.code}: ${answer.error.error.message}`);
  return answer.data as T;
}

const path = { id: data(await api.POST("/v1/sandboxes", { body: {} })).id };
try {
  const put = { params: { path, query: { path: "numbers" } }, headers: { "Content-Type": "application/octet-stream" } };
  const file = data(await api.PUT(FILES, { ...put, body: "3\n1\n2\n", bodySerializer: (body) => body })); // not as JSON
  console.log("wrote", file.path, file.size);

  const ran = data(await api.POST(EXEC, { params: { path }, body: { cmd: "sort -o sorted numbers" } }));
  if ("outcome" in ran) console.log("ran", ran.outcome, ran.exit_code);

  const follow = { params: { path }, headers: { Accept: "application/x-ndjson" }, parseAs: "stream" } as const;
  const lines = data(await api.POST(EXEC, { ...follow, body: { cmd: "for i in 1 2 3; do echo $i; sleep 1; done" } }));
  for await (const line of createInterface({ input: Readable.fromWeb(lines!) })) {
    const event: components["schemas"]["CommandEvent"] = JSON.parse(line);
    if (event.type === "stdout") console.log("followed", event.offset, event.text?.trimEnd());
  }

  const read = data(await api.GET(FILES, { params: { path, query: { path: "sorted" } }, parseAs: "text" }));
  console.log("read", JSON.stringify(read));
} finally {
  data(await api.DELETE("/v1/sandboxes/{id}", { params: { path } }));
}
const gone = await api.GET("/v1/sandboxes/{id}", { params: { path } });
console.log("gone", gone.response.status, gone.error?.error.code);
