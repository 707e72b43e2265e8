// What OpenAI's own client gets from a daemon with the demonstration model and one for embeddings: every method of it
// that is claimed. Run by tests/clients/openai_client.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI();
const model = "demonstration";
const ask = (content) => ({ model, messages: [{ role: "user", content }] });
const bash = {
  name: "bash",
  description: "Run a command",
  parameters: { type: "object", properties: { command: { type: "string" } }, required: ["command"] },
};

test("models.list and models.retrieve", async () => {
  const ids = [];
  for await (const each of client.models.list()) ids.push(each.id);
  assert.deepEqual(ids.sort(), [model, "embedder"]);
  const one = await client.models.retrieve(model);
  assert.deepEqual([one.id, one.object], [model, "model"]);
});

test("chat.completions.create, whole and streamed", async () => {
  const whole = await client.chat.completions.create(ask("What is AI?"));
  assert.match(whole.choices[0].message.content, /artificial intelligence/);
  assert.equal(whole.choices[0].finish_reason, "stop");
  let text = "";
  let usage;
  const events = await client.chat.completions.create({
    ...ask("What is AI?"), stream: true, stream_options: { include_usage: true },
  });
  for await (const event of events) {
    text += event.choices[0]?.delta.content ?? "";
    usage = event.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("chat.completions.stream, which is strict about the order of what it hears", async () => {
  const stream = client.chat.completions.stream(ask("Introduce yourself."));
  const final = await stream.finalChatCompletion();
  assert.match(final.choices[0].message.content, /demonstration model/);
});

test("chat.completions.runTools, whole and streamed", async () => {
  for (const stream of [false, true]) {
    const commands = [];
    const run = ({ command }) => {
      commands.push(command);
      return "6.1.0-17-amd64";
    };
    const runner = client.chat.completions.runTools({
      ...ask("Which kernel is running?"), stream,
      tools: [{ type: "function", function: { ...bash, function: run, parse: JSON.parse } }],
    });
    assert.match(await runner.finalContent(), /6\.1\.0-17-amd64/);
    assert.deepEqual(commands, ["uname -r"]);
  }
});

test("answers in a schema", async () => {
  const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
  const answer = await client.chat.completions.create({
    ...ask("Hello"), max_tokens: 50, response_format: { type: "json_schema", json_schema: { name: "x", strict: true, schema } },
  });
  assert.equal(typeof JSON.parse(answer.choices[0].message.content).ok, "boolean");
});

test("completions.create, whole and streamed", async () => {
  const request = { model, prompt: "Hello", max_tokens: 5 };
  const whole = await client.completions.create(request);
  let text = "";
  for await (const event of await client.completions.create({ ...request, stream: true })) text += event.choices[0].text;
  assert.equal(text, whole.choices[0].text);
});

test("embeddings.create, as floats and as the client asks for them by itself", async () => {
  const request = { model: "embedder", input: ["one", "two"] };
  const floats = await client.embeddings.create({ ...request, encoding_format: "float" });
  const packed = await client.embeddings.create(request);  // asks for base64, and unpacks it
  assert.equal(packed.data.length, 2);
  packed.data.forEach(({ embedding }, i) => {
    assert.equal(embedding.length, 64);
    embedding.forEach((number, at) => assert.ok(Math.abs(number - floats.data[i].embedding[at]) < 1e-6));
  });
  assert.ok(packed.usage.prompt_tokens > 0);
});

test("a model that is not for embeddings says so", async () => {
  await assert.rejects(client.embeddings.create({ model, input: "x" }), (error) => {
    assert.deepEqual([error.status, error.code], [501, "model_unable"]);
    return true;
  });
});

const call = { type: "function", strict: true, ...bash };

test("responses.create, whole and streamed", async () => {
  const request = { model, input: "What is AI?" };
  const whole = await client.responses.create(request);
  assert.match(whole.output_text, /artificial intelligence/);
  assert.equal(whole.status, "completed");
  let text = "";
  let expected = 0;
  for await (const event of await client.responses.create({ ...request, stream: true })) {
    assert.equal(event.sequence_number, expected++);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, whole.output_text);
});

test("responses.stream, which is strict about the order of what it hears", async () => {
  const final = await client.responses.stream({ model, input: "Introduce yourself." }).finalResponse();
  assert.match(final.output_text, /demonstration model/);
  const called = await client.responses.stream({ model, input: "Which kernel is running?", tools: [call] }).finalResponse();
  assert.equal(JSON.parse(called.output[0].arguments).command, "uname -r");
});

test("responses.create with a tool's result", async () => {
  const question = { role: "user", content: "Which kernel is running?" };
  const called = (await client.responses.create({ model, input: [question], tools: [call] })).output[0];
  const result = { type: "function_call_output", call_id: called.call_id, output: "6.1.0-17-amd64" };
  const answer = await client.responses.create({ model, input: [question, called, result], tools: [call] });
  assert.match(answer.output_text, /6\.1\.0-17-amd64/);
});

test("responses.inputTokens.count", async () => {
  const { input_tokens } = await client.responses.inputTokens.count({ model, input: "What is AI?" });
  assert.equal(input_tokens, (await client.responses.create({ model, input: "What is AI?" })).usage.input_tokens);
});

test("a response that builds on one that nobody has kept is refused", async () => {
  const request = { model, input: "x", previous_response_id: "resp_1" };
  await assert.rejects(client.responses.create(request), OpenAI.BadRequestError);
});

test("errors", async () => {
  await assert.rejects(client.chat.completions.create({ ...ask("x"), model: "gpt-4o" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  await assert.rejects(client.chat.completions.create({ ...ask("x"), messages: "x" }), OpenAI.BadRequestError);
  await assert.rejects(client.models.retrieve("gpt-4o"), OpenAI.NotFoundError);
});

test("an answer that is aborted", async () => {
  const events = await client.chat.completions.create({ ...ask("Introduce yourself."), stream: true });
  for await (const event of events) {
    assert.ok(event.choices);
    break;  // aborts: to read on after abort() may wait for ever in Node 20, whose fetch forgets who waits
  }
  assert.ok(events.controller.signal.aborted);
  assert.equal((await client.chat.completions.create(ask("Hello"))).choices.length, 1);
});
