// @modelcontextprotocol/client: a client for each unit of work, which may be forked.
// Run, where that package is installed: node typescript.mjs http://127.0.0.1:8000/mcp

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const EXTENSION = "io.github.scopedtools/context";
const VIEW = "io.github.scopedtools/view";
const IF_REVISION = "io.github.scopedtools/ifRevision";

/** A unit of work. Its client serves no other, for the client's cache knows methods, not contexts. */
class Work extends EventTarget {
  constructor(url, intent, parent) {
    super();
    this.url = url;
    this.contextId = randomUUID();
    const onChanged = () => this.dispatchEvent(new Event("changed"));
    this.client = new Client(
      { name: "example", version: "1.0" },
      {
        // Without this it speaks an earlier revision, which has no settings on each request.
        versionNegotiation: { mode: "auto" },
        capabilities: { extensions: { [EXTENSION]: { contextId: this.contextId, intent, parent, growth: true } } },
        listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged } },
      },
    );
  }

  async connect() {
    // The header is for proxies that route by it; the settings above suffice for the server.
    const requestInit = { headers: { "Mcp-Client-Session-Id": this.contextId } };
    await this.client.connect(new StreamableHTTPClientTransport(new URL(this.url), { requestInit }));
    return this;
  }

  /** Begin a part of this work: a context that starts from what this one is shown. */
  fork(intent) {
    return new Work(this.url, intent, this.contextId).connect();
  }

  /** List the tools; where nothing changed, the server says so instead of sending them again. */
  async tools() {
    const revision = this.held?._meta?.[VIEW]?.revision;
    // What the client itself keeps, to check results against, must not become that short answer.
    const page = revision
      ? await this.client.listTools({ _meta: { [IF_REVISION]: revision } }, { cacheMode: "bypass" })
      : await this.client.listTools({}, { cacheMode: "refresh" });
    this.notModified = page._meta?.[VIEW]?.notModified ?? false;
    this.held = this.notModified ? this.held : page;
    return this.held.tools.map((tool) => tool.name);
  }
}

async function begin(url, intent) {
  const work = await new Work(url, intent).connect();
  const names = await work.tools();
  const counted = await work.client.callTool({ name: "count_cash", arguments: { coins: 3, notes: 40 } });
  assert.deepEqual(counted.structuredContent, { total: 43 });
  assert(!names.includes("count_cash"));
  assert.deepEqual(await work.tools(), names);
  assert(work.notModified);
  console.log(intent, ...names);
  return [work, names];
}

const [url] = process.argv.slice(2);
const [[bills], [trip, before]] = await Promise.all([
  begin(url, "Send invoices to customers and record their payments."),
  begin(url, "Book a flight and a hotel for a trip."),
]);

const changed = once(trip, "changed", { signal: AbortSignal.timeout(10_000) });
await trip.client.callTool({ name: "search_tools", arguments: { query: "send an invoice" } });
await changed;
const after = await trip.tools();
assert(after.length > before.length);
assert.deepEqual(after.slice(0, before.length), before);
console.log("Grew by:", ...after.slice(before.length));

const child = await trip.fork("Rent a car.");
const inherited = await child.tools();
assert.deepEqual(inherited.slice(0, after.length), after);
console.log("Forked:", ...inherited);

await Promise.all([bills, trip, child].map((work) => work.client.close()));
console.log("typescript: all checks passed");
