// Talks to the running demo from JavaScript: JSON-RPC and events over one WebSocket, as an editor in a browser would. In a
// browser it works as it stands; in Node from version 22 on, or 20 with --experimental-websocket.
//
//     node --experimental-websocket examples/15_http_client.js [http://127.0.0.1:8420]

const url = globalThis.process?.argv[2] ?? "http://127.0.0.1:8420";
const socket = new WebSocket(`${url.replace("http", "ws")}/api/ws/graph`);
const waiting = new Map();
let lastId = 0;

/** Calls a method; the promise becomes its result, or fails with its error. */
function call(method, params = {}) {
	const id = ++lastId;
	socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
	return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

socket.addEventListener("message", ({ data }) => {
	const message = JSON.parse(data);
	if (message.method) return console.log("event", message.method, "seq", message.params.seq);
	const { resolve, reject } = waiting.get(message.id);
	waiting.delete(message.id);
	if (message.error) reject(Object.assign(new Error(message.error.message), message.error.data));
	else resolve(message.result);
});

socket.addEventListener("open", async () => {
	const graph = await call("graph.get");
	console.log(`revision ${graph.revision}: ${graph.nodes.map((node) => node.id).join(", ")}`);
	const receipt = await call("graph.apply", {
		base_revision: graph.revision,
		label: "An echo",
		edits: [
			{ add_node: { id: "js_echo", type: "delay", config: { time_ms: 350, mix: 0.3 } } },
			{ connect: { source: "drone.out", target: "js_echo.in" } },
		],
	});
	console.log(`sounds from frame ${receipt.frame} on: ${receipt.ids.join(", ")}`);
	try {
		await call("graph.connect", { source: "mix.out", target: "eq.in" });
	} catch (error) {
		console.log(`${error.name}: a loop through ${error.problems[0].data.path.join(" → ")}`);
	}
	await call("graph.remove_node", { id: "js_echo" });
	socket.close();
});
