// Drives @modelcontextprotocol/client: reads a visit as JSON from standard input, prints what the client saw.
// Usage: node client.mjs FOLDER, where FOLDER is the one that npm installed the client into.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const TIMEOUT = { timeout: 20_000 };

const require = createRequire(join(process.argv[2], "package.json"));
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");

const VERBS = {
  "tools/list": "listTools",
  "tools/call": "callTool",
  "resources/list": "listResources",
  "resources/templates/list": "listResourceTemplates",
  "resources/read": "readResource",
  "prompts/list": "listPrompts",
  "prompts/get": "getPrompt",
};

function transportOf({ url, headers, command, cwd }) {
  if (url !== null) {
    return new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  }
  return new StdioClientTransport({ command: command[0], args: command.slice(1), cwd });
}

async function answer(client, method, params) {
  try {
    return await client[VERBS[method]](params, TIMEOUT);
  } catch (error) {
    if (typeof error.code !== "number") {
      throw error;
    }
    return { error: { code: error.code, message: error.message } };
  }
}

const visit = JSON.parse(readFileSync(0, "utf8"));
const client = new Client(
  { name: "scopedtools-tests", version: "1.0" },
  {
    capabilities: { extensions: visit.extensions },
    // The client is legacy unless it is told otherwise.
    ...(visit.mode === "auto" && { versionNegotiation: { mode: "auto" } }),
  },
);
await client.connect(transportOf(visit), TIMEOUT);
const answers = [];
for (const [method, params] of visit.steps) {
  answers.push(await answer(client, method, params));
}
const seen = {
  protocolVersion: client.getNegotiatedProtocolVersion(),
  serverInfo: client.getServerVersion(),
  instructions: client.getInstructions() ?? null,
  answers,
};
await client.close();
process.stdout.write(JSON.stringify(seen));
