"""Where the public sets come from: repository, commit and licence of each, and the files that were read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Origin(NamedTuple):
    """Where a set comes from.

    Attributes:
        repositories: Each as ``github.com/owner/name@commit``.
        licence: Under which it is published.
        read: Paths in the repositories, and what became of them.
    """

    repositories: tuple[str, ...]
    licence: str
    read: str

    def how_to_get(self, folder: str, files: str) -> str:
        """Say in one sentence how to put the set where it is looked for."""
        repositories = ", ".join(f"https://{name}" for name in self.repositories)
        return f"it comes from {repositories} ({self.licence}): {self.read}; put it as {files} in {folder}"


_GORILLA: Final = "github.com/ShishirPatil/gorilla@6ea57973c7a6097fd7c5915698c54c17c5b1b6c8"
_SGD: Final = "github.com/google-research-datasets/dstc8-schema-guided-dialogue"
_TOOLLINKOS: Final = "github.com/EliasLumer/Graph-RAG-Tool-Fusion-ToolLinkOS"
_BFCL: Final = "berkeley-function-call-leaderboard/bfcl_eval/data"

ORIGINS: Final[Mapping[str, Origin]] = MappingProxyType(
    {
        "acebench": Origin(
            ("github.com/ACEBench/ACEBench@e6db74b735ead22c24f27367606a9408573b848f",),
            "MIT",
            "data_all/data_en/data_normal_*.json and possible_answer/, the union of all functions as tools",
        ),
        "bfcl": Origin(
            (_GORILLA,),
            "Apache-2.0",
            f"{_BFCL}/BFCL_v4_{{simple_python,multiple,parallel,parallel_multiple,live_*}}.json and "
            "possible_answer/, the union of all functions as tools",
        ),
        "bfcl-multiturn": Origin(
            (_GORILLA,),
            "Apache-2.0",
            f"{_BFCL}/multi_turn_func_doc/*.json and BFCL_v4_multi_turn_{{base,miss_param}}.json",
        ),
        "gtc": Origin(
            ("github.com/SonAIengine/graph-tool-call@f8bec761d83993d77bd9c65940e7a0fbbd467cee",),
            "MIT",
            "benchmarks/{specs,mcp_tools,ground_truth}/*.json, all specifications as one catalog",
        ),
        "livemcpbench": Origin(
            ("github.com/icip-cas/LiveMCPBench@a928e57d1ee7a25579b9a7036030faffff72d15b",),
            "Apache-2.0",
            "tools/LiveMCPTool/tools.json and annotated_data/all_annotations.json",
        ),
        "metatool": Origin(
            ("github.com/HowieHwong/MetaTool@35e81bb7576826e980c80fed8f8c0a2b4a1e6fbb",),
            "MIT",
            "dataset/plugin_des.json, dataset/data/all_clean_data.csv and multi_tool_query_golden.json",
        ),
        "nestful": Origin(
            ("github.com/IBM/NESTFUL@053cbde0446dddd31e8293f179085e1b39ab79b5",),
            "Apache-2.0",
            "data/**/*-spec.json and *-data.json",
        ),
        "restbench-tmdb": Origin(
            ("github.com/Yifan-Song793/RestGPT@d99012860cb45323975bf5780152d7aa44f390f5",),
            "MIT",
            "specs/tmdb_oas.json and datasets/tmdb.json, a tool for each operation",
        ),
        "seal-tools": Origin(
            ("github.com/fairyshine/Seal-Tools@ce753ecd60ed08dd376984035de531ab8421f1c6",),
            "Apache-2.0",
            "Seal-Tools_Dataset/tool.jsonl and dev.jsonl",
        ),
        "sgd-dev": Origin(
            (f"{_SGD}@e852981ae34990f4358979625854259302feaa78",),
            "CC BY-SA 4.0, to be kept apart from other files",
            "dev/schema.json and dev/dialogues_*.json, a tool for each intent of a service",
        ),
        "toolbench": Origin(
            (
                "github.com/holi-lab/ToolDial@f3495f86f52f095684712dd527fd679126eb09c6",
                "github.com/THUNLP-MT/StableToolBench@aa4ed9f4737ad98bd706663f01d63623c3427812",
                "github.com/dyabel/AnyTool@6202212ce45329282cf812ae48427f8765cf164c",
            ),
            "Apache-2.0; ToolDial, which holds a copy of ToolBench's tools, states no licence of its own",
            "graph_evaluation/server/tools/ of ToolDial as tools, solvable_queries/test_instruction/*.json "
            "of StableToolBench as requests",
        ),
        "toollinkos": Origin(
            (f"{_TOOLLINKOS}@b630b98656e25c3b83a71ea0406572add38ae46d",),
            "MIT",
            "toollinkos/{regular_tools,core_tools,instances}.json",
        ),
        "tooltalk": Origin(
            ("github.com/microsoft/ToolTalk@e05f4ce6132c80ed33392b81535b077d56ab28fd",),
            "MIT",
            "data/{tooltalk,easy}/*.json and src/tooltalk/apis/*.py",
        ),
        "toucan-mcp": Origin(
            ("github.com/TheAgentArk/Toucan@a1976dea7688c0f36533aa6e3a3fa4c27e017b4b",),
            "MIT; the servers that it describes carry their own licences",
            "mcp_servers/*_labeled.json, the tools/list replies of 870 servers as one catalog",
        ),
    }
)
