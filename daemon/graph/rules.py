"""What is allowed: every rule a graph keeps, said once, for edits and documents alike.

A check of a whole graph looks at everything. A check after an edit looks at what the edit touched: the graph before it
was right, so whatever is wrong now passes through something new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice

import msgspec

from ..problems import Problem, Refusal, refuse, suggestion
from .config import CONFIG_KINDS
from .findings import Enough, Findings, told
from .loops import loops
from .model import Connection, Graph, Node
from .ports import Channels, NodeChannels, follow_channels, ports, remember_channels, resolve_channels
from .spec import Catalogue, NodeSpec, PortSpec
from .wording import shortened

SUGGEST_AMONG = 100  # node ids compared with a misspelt one: comparing 10,000 would take 0.1 s


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a graph may become."""

    nodes: int = 10_000
    connections: int = 40_000
    links_per_port: int = 256


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """What an edit of a sound graph touched."""

    nodes: Collection[str]  # made, or given other ports or channels
    connections: Mapping[str, Connection]  # made, in the order of the edits
    rewired: Collection[str]  # nodes that gained or lost a connection, or are gone
    channels: Channels  # of the graph before


Place = Callable[[str], str]  # where the caller said a node or connection, by id; "": nowhere


def check(
    graph: Graph,
    catalogue: Catalogue,
    limits: Limits,
    touched: Touched | None = None,
    *,
    place: Place = str,
    unsure: Collection[str] = (),
    misfed: Collection[str] = (),
) -> list[Problem]:
    """Everything that is wrong with a graph, each problem with its place.

    `unsure` names nodes that are not what was asked for, because of a problem the caller already knows, and `misfed`
    nodes that lack a connection for the same reason; what that would make wrong is not reported. A graph found right
    remembers its channels (`ports.resolve_channels`).
    """
    checked = _Check(graph, catalogue, limits, touched, place, set(unsure), set(misfed))
    with suppress(Enough):
        checked.check_types()
        checked.check_limits()
        checked.check_connections()
        checked.check_loops_and_channels()
    return checked.problems


def refusal(problems: list[Problem]) -> Refusal:
    """The refusal these problems make together, by what they have in common."""
    kinds = {problem.kind for problem in problems}
    problems = told(problems)
    if kinds <= {"unknown_node", "unknown_connection"}:
        return refuse("not_found", problems)
    if kinds <= {"id_taken"}:
        return refuse("conflict", problems)
    if kinds <= CONFIG_KINDS:
        return refuse("invalid_config", problems)
    return refuse("invalid_graph", problems)


def unknown_type(word: str, catalogue: Catalogue, where: str) -> Problem:
    """There is no such node type."""
    word = shortened(word)
    return Problem("unknown_type", f"There is no node type '{word}'.{suggestion(word, catalogue)}", where)


def unknown_node(word: str, nodes: Mapping[str, Node], where: str) -> Problem:
    """There is no such node."""
    word = shortened(word)
    candidates: Iterable[str] = nodes
    if len(nodes) > SUGGEST_AMONG:
        candidates = islice((node for node in nodes if node[:1] == word[:1]), SUGGEST_AMONG)
    return Problem("unknown_node", f"There is no node '{word}'.{suggestion(word, candidates)}", where, {"node": word})


class _Check:
    def __init__(
        self,
        graph: Graph,
        catalogue: Catalogue,
        limits: Limits,
        touched: Touched | None,
        place: Place,
        unsure: set[str],
        misfed: set[str],
    ) -> None:
        self.graph = graph
        self.catalogue = catalogue
        self.limits = limits
        self.touched = touched
        self.place = place
        self.unsure = unsure
        self.misfed = misfed  # with nodes at the end of a connection that is wrong
        self.problems = Findings()
        self.made: Mapping[str, Connection] = graph.connections if touched is None else touched.connections

    def spec(self, node_id: str) -> NodeSpec | None:
        node = self.graph.nodes.get(node_id)
        return None if node is None else self.catalogue.get(node.type)

    # -- types and limits

    def check_types(self) -> None:
        for node_id in self.graph.nodes if self.touched is None else self.touched.nodes:
            node = self.graph.nodes.get(node_id)
            if node is not None and node.type not in self.catalogue:
                self.unsure.add(node_id)
                self.problems.append(unknown_type(node.type, self.catalogue, f"{self.place(node_id)}.type"))

    def check_limits(self) -> None:
        graph, limits = self.graph, self.limits
        if len(graph.nodes) > limits.nodes and (self.touched is None or self.touched.nodes):
            self._exceeds("The graph", "nodes", len(graph.nodes), limits.nodes, "nodes")
        if len(graph.connections) > limits.connections and self.made:
            self._exceeds("The graph", "connections", len(graph.connections), limits.connections, "connections")
        if self.touched is None:
            links = Counter(connection.target for connection in self.made.values())
        else:
            ends = {connection.target: connection.target_node for connection in self.made.values()}
            links = Counter()
            for end, node_id in ends.items():
                if len(graph.incoming[node_id]) > limits.links_per_port:
                    links[end] = sum(connection.target == end for connection in graph.incoming[node_id])
        for end, count in links.items():
            if count > limits.links_per_port:
                newest = [connection.id for connection in self.made.values() if connection.target == end][-1]
                self._exceeds(end, "connections", count, limits.links_per_port, self.place(newest))

    def _exceeds(self, whose: str, noun: str, count: int, limit: int, where: str) -> None:
        message = f"{whose} would have {count} {noun}; the limit is {limit}."
        self.problems.append(Problem("limit", message, where, {"limit": limit, "count": count}))

    # -- each connection by itself

    def check_connections(self) -> None:
        for connection in self._connections_to_check():
            before = len(self.problems)
            source = self._check_end(connection, connection.source, "output")
            target = self._check_end(connection, connection.target, "input")
            if len(self.problems) == before + 2:
                self._merge_crossed(connection, before)
            if source is None or target is None:
                self.misfed.add(connection.target_node)
            elif source.signal != target.signal:
                message = (
                    f"{connection.source} gives {source.signal} and {connection.target} takes {target.signal}; "
                    "a connection joins ports of the same signal."
                )
                data = {"connection": connection.id, "source": source.signal, "target": target.signal}
                self.misfed.add(connection.target_node)
                self.problems.append(Problem("type_mismatch", message, self._blame(connection), data))

    def _connections_to_check(self) -> Iterable[Connection]:
        if self.touched is None:
            return self.made.values()
        graph = self.graph
        around = (chain(graph.incoming.get(node, ()), graph.outgoing.get(node, ())) for node in self.touched.nodes)
        return {connection.id: connection for connection in chain(self.made.values(), *around)}.values()

    def _check_end(self, connection: Connection, end: str, direction: str) -> PortSpec | None:
        """The port at one end, or a problem if it is not there; nothing at all where that is not to be judged."""
        node_id, _, name = end.partition(".")
        side = "source" if direction == "output" else "target"
        node = self.graph.nodes.get(node_id)
        made_at = self.place(connection.id) if connection.id in self.made else ""
        if node is None:
            if node_id not in self.unsure:
                self.problems.append(unknown_node(node_id, self.graph.nodes, f"{made_at}.{side}"))
            return None
        spec = self.spec(node_id)
        if spec is None or node_id in self.unsure:
            return None
        known = ports(spec, node.config)
        here, there = (known.outputs, known.inputs) if direction == "output" else (known.inputs, known.outputs)
        port = here.get(name)
        if port is not None:
            return port
        data = {"connection": connection.id, "node": node_id, "port": shortened(name)}
        if name in there:
            if direction == "output":
                message = f"{end} is an input, and a connection starts at an output."
            else:
                message = f"{end} is an output, and a connection ends at an input."
            message += f" {node_id} has {f'the {direction} {_listed(here)}' if here else f'no {direction}'}."
            self.problems.append(Problem("direction", message, f"{made_at or self._blame(connection)}.{side}", data))
            return None
        count = len(node.config[spec_repeat]) if (spec_repeat := _repeat(spec, direction)) else 0
        if made_at:
            where = f"{made_at}.{side}"
            counted = f" Every record of its '{spec_repeat}' makes one, and there are {count}." if spec_repeat else ""
            message = f"{node_id} has no {direction} '{shortened(name)}'.{suggestion(shortened(name), here)}{counted}"
        else:
            where = f"{self.place(node_id)}.config.{spec_repeat}" if spec_repeat else self.place(node_id)
            reason = f": its '{spec_repeat}' would have {count} records" if spec_repeat else ""
            message = f"{node_id} would lose '{name}'{reason}. Take the connection {connection.id} away first."
        self.problems.append(Problem("unknown_port", message, where, data))
        return None

    def _merge_crossed(self, connection: Connection, before: int) -> None:
        """Both ends are the wrong way round: that is one mistake, not two."""
        if all(problem.kind == "direction" for problem in self.problems[before:]):
            message = (
                f"The ends are crossed: {connection.source} is an input and {connection.target} an output. "
                f"The source is {connection.target} and the target {connection.source}."
            )
            del self.problems[before:]
            problem = Problem("direction", message, self._blame(connection), {"connection": connection.id})
            self.problems.append(problem)

    # -- the graph as a whole

    def check_loops_and_channels(self) -> None:
        found = loops(self.graph, None if self.touched is None else self.made.values())
        if found.closing:
            self._report_loops(found.paths)
            self.misfed.update(connection.target_node for connection in found.closing)
            closing = {connection.id for connection in found.closing}
            rest = {name: connection for name, connection in self.graph.connections.items() if name not in closing}
            graph = Graph(nodes=self.graph.nodes, connections=rest)
            self._check_channels(resolve_channels(graph, self.catalogue), graph.connections.values())
        elif self.touched is None:
            self._check_channels(resolve_channels(self.graph, self.catalogue), self.made.values())
        else:
            starts = chain(self.touched.nodes, self.touched.rewired)
            channels, changed = follow_channels(self.graph, self.catalogue, self.touched.channels, starts)
            remember_channels(self.graph, self.catalogue, channels)
            around = chain.from_iterable(
                chain(self.graph.incoming.get(node, ()), self.graph.outgoing.get(node, ())) for node in changed
            )
            self._check_channels(channels, {c.id: c for c in chain(self.made.values(), around)}.values())

    def _report_loops(self, paths: Iterable[tuple[Connection, ...]]) -> None:
        order = {name: i for i, name in enumerate(self.made)}
        for path in paths:
            closing = max(range(len(path)), key=lambda i: order.get(path[i].id, -1))
            turned = path[closing:] + path[:closing]
            nodes = [turned[0].source_node, *(connection.target_node for connection in turned)]
            if not self.unsure.intersection(nodes):
                shown = nodes if len(nodes) <= 12 else [*nodes[:6], "…", *nodes[-5:]]
                message = (
                    f"This closes a loop: {' → '.join(shown)}. A node can't wait for its own sound; "
                    "one of these connections has to go."
                )
                data = {"path": nodes, "connection": turned[0].id}
                self.problems.append(Problem("cycle", message, self.place(turned[0].id), data))

    def _check_channels(self, channels: Channels, connections: Iterable[Connection]) -> None:
        shaky: set[str] | None = None
        for connection in connections:
            source = channels.get(connection.source_node)
            target_id, _, port = connection.target.partition(".")
            target = channels.get(target_id)
            if source is None or target is None or port not in target.inputs:
                continue
            given, taken = source.outputs.get(connection.source_port), target.inputs[port]
            if given is None:
                continue
            mixed = 0
            if _fits(given, taken):
                mixed = self._mix_width(target_id, port, target)
                if _fits(given, mixed or given):
                    continue
            if shaky is None:
                shaky = self._downstream_of_what_is_wrong()
            if target_id not in shaky:
                self.problems.append(self._channel_mismatch(connection, given, taken, mixed))

    def _mix_width(self, node_id: str, port: str, channels: NodeChannels) -> int:
        """The channels of the mix that an input of its own width goes into; 0: it goes into none."""
        if max(channels.outputs.values(), default=0) <= 2:
            return 0
        node = self.graph.nodes[node_id]
        known = ports(self.catalogue[node.type], node.config)
        if known.inputs[port].rule != "connected":
            return 0
        return max((channels.outputs[name] for name, p in known.outputs.items() if p.rule == "widest"), default=0)

    def _channel_mismatch(self, connection: Connection, given: int, taken: int, mixed: int) -> Problem:
        wanted = mixed or taken
        takes = f"{connection.target_node} mixes {wanted}" if mixed else f"{connection.target} takes {wanted}"
        message = (
            f"{connection.source} has {_channels(given)} and {takes}; only 1 and 2 go together. "
            f"Put a channel_map (in_channels: {given}, out_channels: {wanted}) between them."
        )
        data = {"connection": connection.id, "source": given, "target": wanted, "cure": "channel_map"}
        return Problem("channel_mismatch", message, self._blame(connection), data)

    def _downstream_of_what_is_wrong(self) -> set[str]:
        reached = self.unsure | self.misfed
        waiting = list(reached)
        while waiting:
            for connection in self.graph.outgoing.get(waiting.pop(), ()):
                if connection.target_node not in reached:
                    reached.add(connection.target_node)
                    waiting.append(connection.target_node)
        return reached

    def _blame(self, connection: Connection) -> str:
        """Where the caller said what makes this connection wrong: itself, or the nearest change before it."""
        return next(filter(None, map(self.place, self._before(connection))), "")

    def _before(self, connection: Connection) -> Iterator[str]:
        """The connection, its ends, and what leads to them, by id, nearest first."""
        yield connection.id
        seen = {connection.target_node: None, connection.source_node: None}
        waiting = list(seen)
        for node_id in waiting:  # grows
            yield node_id
            for feeding in self.graph.incoming.get(node_id, ()):
                yield feeding.id
                if feeding.source_node not in seen:
                    seen[feeding.source_node] = None
                    waiting.append(feeding.source_node)


def _fits(given: int, taken: int) -> bool:
    """Mono and stereo go together (Web Audio's "speakers"); otherwise the counts are equal."""
    return given == taken or (given <= 2 and taken <= 2)


def _repeat(spec: NodeSpec, direction: str) -> str:
    """The list parameter that counts this type's ports of one direction, if one does."""
    return next((port.repeat for port in spec.ports if port.repeat and port.direction == direction), "")


def _listed(names: Mapping[str, PortSpec]) -> str:
    words = list(names)
    return ", ".join(words) if len(words) <= 8 else f"{words[0]} … {words[-1]}"


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
