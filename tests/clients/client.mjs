// Drives one of the npm clients: each line of standard input holds visits as JSON, see driving.py; they are
// paid at once, and what was seen is printed as a line.
// Usage: node client.mjs FOLDER PACKAGE, where npm installed PACKAGE into FOLDER.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const TIMEOUT = { timeout: 20_000 };
const LOG_LEVEL = "io.modelcontextprotocol/logLevel";
const LISTS = {
  "tools/list": ["listTools", "tools"],
  "resources/list": ["listResources", "resources"],
  "resources/templates/list": ["listResourceTemplates", "resourceTemplates"],
  "prompts/list": ["listPrompts", "prompts"],
};
const CAPABILITIES = { "elicitation/create": "elicitation", "sampling/createMessage": "sampling" };

const [folder, name] = process.argv.slice(2);
const load = createRequire(join(folder, "package.json"));

// What differs between the packages.
const PACKAGES = {
  "@modelcontextprotocol/client": () => {
    const { Client, StreamableHTTPClientTransport } = load(name);
    const { StdioClientTransport } = load(`${name}/stdio`);
    return {
      Client,
      StreamableHTTPClientTransport,
      StdioClientTransport,
      keyOf: (method) => method,
      callTool: (client, params, options) => client.callTool(params, options),
    };
  },
  "@modelcontextprotocol/sdk": () => {
    const { Client } = load(`${name}/client/index.js`);
    const { StreamableHTTPClientTransport } = load(`${name}/client/streamableHttp.js`);
    const { StdioClientTransport } = load(`${name}/client/stdio.js`);
    const types = load(`${name}/types.js`);
    const schemas = {
      "elicitation/create": types.ElicitRequestSchema,
      "sampling/createMessage": types.CreateMessageRequestSchema,
      "notifications/message": types.LoggingMessageNotificationSchema,
    };
    return {
      Client,
      StreamableHTTPClientTransport,
      StdioClientTransport,
      keyOf: (method) => schemas[method],
      callTool: (client, params, options) => client.callTool(params, undefined, options),
    };
  },
};
const npm = PACKAGES[name]();

function transportOf({ url, headers, command, cwd }) {
  if (url !== null) {
    return new npm.StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  }
  return new npm.StdioClientTransport({ command: command[0], args: command.slice(1), cwd });
}

class Paying {
  constructor(visit) {
    this.visit = visit;
    this.heard = [];
    this.changes = 0;
    this.awaited = 0;
    this.wake = () => {};
    const asked = Object.keys(visit.replies);
    this.client = new npm.Client(
      { name: "scopedtools-tests", version: "1.0" },
      {
        capabilities: {
          extensions: visit.extensions,
          ...Object.fromEntries(asked.map((method) => [CAPABILITIES[method], {}])),
        },
        // The client is legacy unless it is told otherwise.
        ...(visit.mode === "auto" && { versionNegotiation: { mode: "auto" } }),
        ...(visit.listens && {
          listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => this.change() } },
        }),
      },
    );
    for (const method of asked) {
      this.client.setRequestHandler(npm.keyOf(method), (request) => {
        this.heard.push([method, request.params]);
        return visit.replies[method].shift();
      });
    }
    this.client.setNotificationHandler(npm.keyOf("notifications/message"), (notification) => {
      this.heard.push([notification.method, notification.params]);
    });
  }

  change() {
    this.heard.push(["notifications/tools/list_changed", {}]);
    this.changes += 1;
    this.wake();
  }

  async awaitChange() {
    this.awaited += 1;
    if (this.changes < this.awaited) {
      await new Promise((wake, fail) => {
        this.wake = wake;
        setTimeout(() => fail(new Error("no change was heard of")), TIMEOUT.timeout).unref();
      });
    }
    return {};
  }

  async pay() {
    const transport = transportOf(this.visit);
    let protocolVersion;
    // The older package tells the revision to nobody but its transport.
    const tell = transport.setProtocolVersion?.bind(transport);
    transport.setProtocolVersion = (version) => {
      protocolVersion = version;
      tell?.(version);
    };
    await this.client.connect(transport, TIMEOUT);
    if (this.visit.log_level !== null && this.visit.mode === "legacy") {
      await this.client.setLoggingLevel(this.visit.log_level);
    }
    const answers = [];
    for (const [method, params] of this.visit.steps) {
      answers.push(await this.answer(method, params));
    }
    const sight = {
      protocolVersion: this.client.getNegotiatedProtocolVersion?.() ?? protocolVersion,
      serverInfo: this.client.getServerVersion(),
      instructions: this.client.getInstructions() ?? null,
      answers,
      heard: this.heard,
    };
    await this.client.close();
    return sight;
  }

  async answer(method, params) {
    try {
      return await this.take(method, params);
    } catch (error) {
      if (typeof error.code !== "number") {
        throw error;
      }
      return { error: { code: error.code, message: error.message } };
    }
  }

  async take(method, params) {
    if (method in LISTS) {
      return await this.list(...LISTS[method], params);
    }
    switch (method) {
      case "tools/call":
        return await this.call(params, (progress) => {
          this.heard.push(["notifications/progress", progress]);
        });
      case "call in vain":
        return await this.callInVain(params);
      case "await change":
        return await this.awaitChange();
      case "resources/read":
        return await this.client.readResource(params, TIMEOUT);
      default:
        return await this.client.getPrompt(params, TIMEOUT);
    }
  }

  async list(verb, rowsIn, params) {
    // The newer package reads to the last page by itself.
    let page = await this.client[verb](params, TIMEOUT);
    const rows = [...page[rowsIn]];
    while (page.nextCursor !== undefined) {
      page = await this.client[verb]({ ...params, cursor: page.nextCursor }, TIMEOUT);
      rows.push(...page[rowsIn]);
    }
    return { ...page, [rowsIn]: rows };
  }

  call(params, onprogress, options = {}) {
    const level = this.visit.log_level;
    const logs = level !== null && this.visit.mode === "auto";
    const meta = logs ? { _meta: { ...params._meta, [LOG_LEVEL]: level } } : {};
    return npm.callTool(this.client, { ...params, ...meta }, { ...TIMEOUT, onprogress, ...options });
  }

  async callInVain(params) {
    const cancelling = new AbortController();
    try {
      await this.call(params, () => cancelling.abort("no longer needed"), { signal: cancelling.signal });
    } catch (error) {
      if (!cancelling.signal.aborted) {
        throw error;
      }
      return {};
    }
    throw new Error("the call came to its end");
  }
}

async function pay(visit) {
  try {
    return await new Paying(visit).pay();
  } catch (error) {
    return { failure: error.stack };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const sights = await Promise.all(JSON.parse(line).map(pay));
  process.stdout.write(`${JSON.stringify(sights)}\n`);
}
