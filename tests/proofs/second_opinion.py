"""What a transaction should come to, worked out once more and in another way: plain dictionaries that are copied, networkx for what leads
where, everything looked at anew each time. It shares the catalogue with the daemon, and no line of `graph/`."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import networkx as nx

from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Disconnect,
    RemoveNode,
    ReplaceNode,
)
from tonnetz.daemon.graph.spec import Catalogue, NodeSpec, ParameterSpec, PortSpec


class Output(NamedTuple):
    node: str
    port: str


class Wire(NamedTuple):
    source: str  # node.port
    target: str

    @property
    def ends(self) -> tuple[str, str, str, str]:
        return (*self.source.split("."), *self.target.split("."))


@dataclass
class Fact:
    """A node."""

    spec: NodeSpec
    config: dict[str, Any]
    bypass: bool = False

    def ports(self, direction: str) -> dict[str, PortSpec]:
        found = {}
        for port in self.spec.ports:
            count = len(self.config[port.repeat]) if port.repeat else 1
            if port.direction == direction:
                found.update({port.name.replace("#", str(number + 1)): port for number in range(count)})
        return found

    @property
    def passage(self) -> tuple[list[str], str] | None:
        """Through which inputs, and to which output, a sound goes around it when it is bypassed."""
        inputs, outputs = self.ports("input"), self.ports("output")
        if not inputs or not outputs:
            return None
        first, main = next(iter(inputs.items())), next(iter(outputs.items()))
        if first[1].signal != main[1].signal:
            return None
        return [name for name in inputs if name == first[0] or first[1].repeat], main[0]


@dataclass
class Opinion:
    """A graph as it should be. `apply` changes it, or says of what kind the problem is."""

    catalogue: Catalogue
    nodes: dict[str, Fact] = field(default_factory=dict)
    wires: set[Wire] = field(default_factory=set)

    def another(self) -> Opinion:
        nodes = {name: Fact(node.spec, node.config, node.bypass) for name, node in self.nodes.items()}
        return Opinion(self.catalogue, nodes, set(self.wires))

    # ---- Edits -------------------------------------------------------------------------------------------------------

    def apply(self, edit: AnyEdit) -> str | None:
        match edit:
            case AddNode():
                if edit.id in self.nodes:
                    return "id_taken"
                return self._put(str(edit.id), edit.type, {}, edit.config, edit.bypass)
            case Connect():
                wire = Wire(edit.source, edit.target)
                if not {wire.ends[0], wire.ends[2]} <= self.nodes.keys():
                    return "unknown_node"
                if wire in self.wires:
                    return "duplicate"
                self.wires.add(wire)
                return None
            case Disconnect():
                wire = Wire(str(edit.source), str(edit.target))
                if wire not in self.wires:
                    return "unknown_connection"
                self.wires.remove(wire)
                return None
            case RemoveNode() | ConfigureNode() | ReplaceNode() | BypassNode():
                return self._change(edit) if edit.id in self.nodes else "unknown_node"
        raise AssertionError(edit)

    def _change(self, edit: RemoveNode | ConfigureNode | ReplaceNode | BypassNode) -> str | None:
        node = self.nodes[edit.id]
        match edit:
            case RemoveNode():
                joined = set(self._joints(edit.id)) if edit.strategy == "bridge" else set()
                self.wires = {w for w in self.wires if edit.id not in (w.ends[0], w.ends[2])} | joined
                del self.nodes[edit.id]
            case ConfigureNode():
                return self._put(edit.id, node.spec.type, node.config, edit.config, node.bypass)
            case ReplaceNode():
                problem = self._put(edit.id, edit.type, {}, edit.config, node.bypass)
                if problem is None:
                    self._drop_misfits(edit.id, node)
                return problem
            case BypassNode():
                node.bypass = edit.bypass
        return None

    def _put(
        self, node_id: str, kind: str, base: Mapping[str, Any], given: Mapping[str, Any], bypass: bool
    ) -> str | None:
        spec = self.catalogue.get(kind)
        if spec is None:
            return "unknown_type"
        config = {p.name: copy.deepcopy(p.default) for p in spec.parameters} | dict(base)
        for name, value in given.items():
            parameter = spec.parameter(name)
            if parameter is None:
                return "unknown_parameter"
            problem = self._problem(parameter, value)
            if problem:
                return problem
            config[name] = _completed(parameter, value)
        self.nodes[node_id] = Fact(spec, config, bypass)
        return None

    def _problem(self, parameter: ParameterSpec, value: Any) -> str | None:
        if parameter.kind in ("int", "float"):
            if isinstance(value, str):
                return "wrong_type"
            assert parameter.minimum is not None
            assert parameter.maximum is not None
            return None if parameter.minimum <= value <= parameter.maximum else "out_of_range"
        return None

    def _joints(self, node_id: str) -> Iterator[Wire]:
        passage = self.nodes[node_id].passage
        if passage:
            through, main = passage
            for before in self.wires:
                for after in self.wires:
                    into = before.target in [f"{node_id}.{name}" for name in through] and before.ends[0] != node_id
                    if into and after.source == f"{node_id}.{main}" and after.ends[2] != node_id:
                        yield Wire(before.source, after.target)

    def _drop_misfits(self, node_id: str, old: Fact) -> None:
        """A connection stays if its port is still there, with the signal that it had."""
        new = self.nodes[node_id]
        for wire in set(self.wires):
            source, output, target, input_ = wire.ends
            for name, port, direction in ((source, output, "output"), (target, input_, "input")):
                if name == node_id:
                    was, now = old.ports(direction).get(port), new.ports(direction).get(port)
                    if now is None or (was is not None and was.signal != now.signal):
                        self.wires.discard(wire)

    # ---- The graph as a whole ----------------------------------------------------------------------------------------

    @property
    def ways(self) -> nx.DiGraph:
        ways = nx.DiGraph()
        ways.add_nodes_from(self.nodes)
        ways.add_edges_from((wire.ends[0], wire.ends[2]) for wire in self.wires)
        return ways

    def flaws(self) -> set[str]:
        """The kinds of what is wrong. What only follows from something else is not told."""
        found = {flaw for wire in self.wires for flaw in self._flaws_of(wire)}
        if not nx.is_directed_acyclic_graph(self.ways):
            found.add("cycle")
        if not found and (self._misfit_wires() or self._misfits_around_bypassed()):
            found.add("channel_mismatch")
        return found

    def _flaws_of(self, wire: Wire) -> set[str]:
        source, output, target, input_ = wire.ends
        out, into = self.nodes[source], self.nodes[target]
        found = set()
        for node, port, here, there in ((out, output, "output", "input"), (into, input_, "input", "output")):
            if port not in node.ports(here):
                found.add("direction" if port in node.ports(there) else "unknown_port")
        if not found and out.ports("output")[output].signal != into.ports("input")[input_].signal:
            found.add("type_mismatch")
        return found

    def widths(self) -> dict[str, int]:
        """The channels of every port, as node.port, from the sources on."""
        found: dict[str, int] = {}
        for name in nx.lexicographical_topological_sort(self.ways):
            node = self.nodes[name]
            inputs, outputs = node.ports("input"), node.ports("output")
            fed = {
                port: max((found[w.source] for w in self.wires if w.target == f"{name}.{port}"), default=0)
                for port in inputs
            }
            follow = max(
                (fed[port] for port, spec in inputs.items() if spec.rule == "follow" and spec.signal == "audio"),
                default=0,
            )
            own = {port: self._width(node, spec, follow or 2, fed[port] or 2) for port, spec in inputs.items()}
            widest = max((own[port] for port, spec in inputs.items() if spec.signal == "audio"), default=0)
            found.update({f"{name}.{port}": width for port, width in own.items()})
            for port, spec in outputs.items():
                found[f"{name}.{port}"] = self._width(node, spec, follow or 2, max(widest, spec.channels, 1))
        return found

    def _width(self, node: Fact, port: PortSpec, follow: int, asked: int) -> int:
        if port.signal == "control":
            return 1
        known = {"fixed": port.channels, "follow": follow, "parameter": node.config.get(port.channels_parameter)}
        return int(known.get(port.rule) or asked)

    def _misfit_wires(self) -> bool:
        widths = self.widths()
        for wire in self.wires:
            given, taken = widths[wire.source], widths[wire.target]
            _, _, target, input_ = wire.ends
            if not fits(given, taken):
                return True
            if self.nodes[target].ports("input")[input_].rule == "connected":  # it goes into a mix, if there is one
                outputs = self.nodes[target].ports("output")
                mixes = [widths[f"{target}.{port}"] for port, spec in outputs.items() if spec.rule == "widest"]
                if max(mixes, default=0) > 2 and not fits(given, max(mixes)):
                    return True
        return False

    def heard(self, target: str) -> Counter[Output]:
        """The outputs that sound at an input, and in how many ways: around bypassed nodes to what feeds those."""
        found: Counter[Output] = Counter()
        for wire in self.wires:
            source, output, into, _ = wire.ends
            node = self.nodes[source]
            if wire.target != target or (self.nodes[into].bypass and self.nodes[into].spec.category == "sink"):
                continue
            if not node.bypass:
                found[Output(source, output)] += 1
            elif node.passage and output == node.passage[1]:
                for through in node.passage[0]:
                    found.update(self.heard(f"{source}.{through}"))
        return found

    def _misfits_around_bypassed(self) -> bool:
        widths = self.widths()
        return any(
            not fits(widths[".".join(output)], widths[wire.target])
            for wire in self.wires
            for output in self.heard(wire.target)
        )


def fits(given: int, taken: int) -> bool:
    """Mono and stereo go together, all else only with its like."""
    return given == taken or {given, taken} == {1, 2}


def _completed(parameter: ParameterSpec, value: Any) -> Any:
    if parameter.kind == "list":
        return [{part.name: part.default for part in parameter.fields} | record for record in value]
    return value
