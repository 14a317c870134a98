// The API page: reads /openapi.json and makes a form of every operation. No library, nothing from elsewhere.

const shown = document.getElementById("operations");
const token = document.getElementById("token");
const filter = document.getElementById("filter");

/** An element with properties and children. Texts become text, never markup. */
function make(name, properties = {}, ...children) {
	const element = Object.assign(document.createElement(name), properties);
	element.append(...children);
	return element;
}

/** What values a schema admits, in few words. */
function words(schema, components) {
	if (!schema || typeof schema !== "object") return "";
	if (schema.$ref) return schema.$ref.split("/").pop();
	if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
	if (schema.anyOf) return schema.anyOf.map((one) => words(one, components)).join(" or ");
	const range = [schema.minimum, schema.maximum].some((bound) => bound !== undefined)
		? ` ${schema.minimum ?? "…"} to ${schema.maximum ?? "…"}` : "";
	const items = schema.items ? ` of ${words(schema.items, components)}` : "";
	return `${schema.type ?? "any"}${range}${items}`;
}

/** An example body: what must be given, and nothing else. */
function example(schema) {
	const body = {};
	for (const name of schema.required ?? []) {
		const kind = schema.properties?.[name]?.type;
		body[name] = { integer: 0, number: 0, boolean: false, array: [], object: {} }[kind] ?? "";
	}
	return JSON.stringify(body, null, 2);
}

function operationForm(path, verb, operation) {
	const inputs = (operation.parameters ?? []).map((parameter) => [parameter, make("input", { placeholder: parameter.schema?.default ?? "" })]);
	const schema = operation.requestBody?.content?.["application/json"]?.schema;
	const body = schema && make("textarea", { value: example(schema), spellcheck: false, ariaLabel: "Body, in JSON" });
	const answer = make("pre", { hidden: true });
	const form = make("form", {},
		make("p", {}, operation.description ?? operation.summary),
		make("table", {}, ...inputs.map(([parameter, input]) => make("tr", {},
			make("td", {}, make("code", {}, parameter.name), parameter.required ? " (needed)" : ""),
			make("td", {}, input),
			make("td", {}, `${parameter.in}; ${words(parameter.schema)}. ${parameter.description ?? ""}`)))),
		...(body ? [make("p", {}, "Body:"), body, ...members(schema)] : []),
		make("p", {}, make("button", { type: "submit" }, "Send")), answer);
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		answer.hidden = false;
		answer.textContent = "…";
		answer.textContent = await send(path, verb, inputs, body);
	});
	return form;
}

/** What may be in a body, member by member. */
function members(schema) {
	const rows = Object.entries(schema.properties ?? {}).map(([name, kind]) => make("tr", {},
		make("td", {}, make("code", {}, name)), make("td", {}, words(kind)), make("td", {}, kind.description ?? "")));
	return rows.length ? [make("table", {}, ...rows)] : [];
}

async function send(path, verb, inputs, body) {
	const headers = {}, query = new URLSearchParams();
	let address = path;
	for (const [parameter, input] of inputs) {
		if (input.value === "") continue;
		if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
		else if (parameter.in === "header") headers[parameter.name] = input.value;
		else query.append(parameter.name, input.value);
	}
	if (token.value) headers.Authorization = `Bearer ${token.value}`;
	if (body) headers["Content-Type"] = "application/json";
	try {
		const response = await fetch(query.size ? `${address}?${query}` : address, { method: verb.toUpperCase(), headers, body: body?.value || undefined });
		const text = await response.text();
		const tag = response.headers.get("ETag");
		return `${response.status} ${response.statusText}${tag ? `, ETag ${tag}` : ""}\n\n${pretty(text)}`;
	} catch (error) {
		return String(error);
	}
}

function pretty(text) {
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

function show(document_) {
	shown.replaceChildren();
	for (const tag of document_.tags) {
		const section = make("section", {}, make("h2", {}, tag.name));
		for (const [path, operations] of Object.entries(document_.paths))
			for (const [verb, operation] of Object.entries(operations))
				if (operation.tags.includes(tag.name)) section.append(entry(path, verb, operation));
		shown.append(section);
	}
}

function entry(path, verb, operation) {
	const details = make("details", {}, make("summary", {},
		make("span", { className: "verb" }, verb.toUpperCase()), make("span", { className: "path" }, path), ` ${operation.summary}`));
	details.dataset.words = `${verb} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase();
	details.addEventListener("toggle", () => details.append(operationForm(path, verb, operation)), { once: true });
	return details;
}

filter.addEventListener("input", () => {
	const wanted = filter.value.toLowerCase();
	for (const details of shown.querySelectorAll("details")) details.hidden = !details.dataset.words.includes(wanted);
});

try {
	show(await (await fetch("/openapi.json")).json());
} catch (error) {
	shown.replaceChildren(make("p", {}, `openapi.json can't be read: ${error}`));
}
