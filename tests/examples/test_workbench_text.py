"""The text half of the workbench: every tool on real arguments, and every door that must stay shut."""

import base64
import contextlib
import gzip
import inspect
import io
import json
import os
import re
import sqlite3
import typing
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import docstring_parser
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError, validate_call

from examples.workbench.tools import (
    colors,
    compression,
    csv_tools,
    encoding,
    files,
    hashing,
    json_tools,
    networks,
    parsing,
    regex,
    sqlite_tools,
    text,
    toml_ini,
    unicode,
    urls,
    xml_html,
)

Tool = Callable[..., Any]

MODULES: list[ModuleType] = [
    text, regex, unicode, json_tools, csv_tools, xml_html, toml_ini, encoding, hashing, compression, urls,
    networks, files, sqlite_tools, parsing, colors,
]  # fmt: skip
TOOLS: list[Tool] = [
    member
    for module in MODULES
    for name, member in vars(module).items()
    if inspect.isfunction(member) and member.__module__ == module.__name__ and not name.startswith("_")
]

PEOPLE = "id,name,age\n1,Ada,36\n2,Grace,45\n"
NEW_PEOPLE = "id,name,age\n2,Grace,46\n3,Linus,28\n"
SALES = "shop,month,sum\nA,Jan,10\nB,Jan,20\nA,Feb,5.5\nA,Jan,1\n"
BOOKS = '<shelf><book lang="en"><title>Dune</title></book><book lang="fr">Zadig</book></shelf>'
PAGE = (
    "<html><head><style>p {color: red}</style></head><body><h1>Books &amp; more</h1><p>Read <a href='/dune'>"
    "<b>Dune</b></a>!</p><table><tr><th>Title</th><th>Copies</th></tr><tr><td>Dune<td>7</table></body></html>"
)
TOML = 'title = "x"\n[tool]\nday = 2024-02-29\nports = [80, 443]\n'
EPOCH = "1970-01-01T00:00:00+00:00"


def call(tool: Tool, arguments: dict[str, Any]) -> Any:
    """Call a tool as a server does: arguments checked against the annotations, the result made JSON."""
    result = validate_call(tool)(**arguments)
    try:
        TypeAdapter(inspect.signature(tool).return_annotation).validate_python(result)
    except ValidationError as error:
        raise AssertionError(f"{tool.__name__} returned what it does not declare") from error
    plain = TypeAdapter(Any).dump_python(result, mode="json")
    json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    return plain


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fill a fresh sandbox with one file of each kind, all last changed in 1970."""
    folder = tmp_path / "box"
    (folder / "docs").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("outside")
    (folder / "people.csv").write_text(PEOPLE)
    (folder / "new.csv").write_text(NEW_PEOPLE)
    (folder / "notes.txt").write_text("alpha\nbeta\nGamma Beta\n")
    (folder / "docs" / "readme.md").write_text("# Title\n")
    (folder / "docs" / "empty").mkdir()
    (folder / "notes.txt.gz").write_bytes(gzip.compress(b"packed\n"))
    with zipfile.ZipFile(folder / "bundle.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("a/hello.txt", (2020, 1, 2, 3, 4, 6)), "hello\n")
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.execute("CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL, copies INTEGER)")
        connection.execute("INSERT INTO book (title, copies) VALUES ('Dune', 7), ('Emma', 2)")
        connection.execute("CREATE VIEW scarce AS SELECT title FROM book WHERE copies < 5")
        connection.commit()
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    monkeypatch.setenv("WORKBENCH_DIR", str(folder))
    return folder


CASES: list[tuple[Tool, dict[str, Any], Any]] = [
    # text
    (text.count_words, {"text": "Don't panic: it's well-known."}, 4),
    (
        text.text_statistics,
        {"text": "One two. Three!\nFour\n\nFive"},
        {
            "characters": 26,
            "characters_without_spaces": 21,
            "words": 5,
            "sentences": 3,
            "lines": 4,
            "paragraphs": 2,
        },
    ),
    (text.reading_time, {"text": "word " * 300}, {"words": 300, "minutes": 1.5}),
    (text.title_case, {"text": "don't STOP me"}, "Don't Stop Me"),
    (text.snake_case, {"text": "HTTPServer nameOf2ndItem"}, "http_server_name_of2nd_item"),
    (text.kebab_case, {"text": "backgroundColor"}, "background-color"),
    (text.camel_case, {"text": "user id"}, "userId"),
    (text.camel_case, {"text": "user_id", "first_letter": "upper"}, "UserId"),
    (text.wrap_text, {"text": "one two three four\n\nfive", "width": 10}, "one two\nthree four\n\nfive"),
    (text.indent_text, {"text": "a\n\nb", "prefix": "> "}, "> a\n\n> b"),
    (text.dedent_text, {"text": "  a\n    b"}, "a\n  b"),
    (text.truncate_text, {"text": "The quick brown fox", "length": 12}, "The quick…"),
    (text.truncate_text, {"text": "The quick brown fox", "length": 10}, "The quick…"),
    (text.truncate_text, {"text": "short", "length": 5}, "short"),
    (text.align_text, {"text": "a\nbcd", "width": 3, "side": "right", "fill": "."}, "..a\nbcd"),
    (text.reverse_text, {"text": "one two", "unit": "words"}, "two one"),
    (text.reverse_text, {"text": "abc"}, "cba"),
    (text.slugify, {"text": "Crème brûlée: 2 recipes!"}, "creme-brulee-2-recipes"),
    (
        text.find_text,
        {"text": "Ab ab AB", "phrase": "ab", "ignore_case": True},
        {"count": 3, "positions": [0, 3, 6]},
    ),
    (text.replace_text, {"text": "a.b.c", "phrase": ".", "replacement": r"\1"}, r"a\1b\1c"),
    (text.split_text, {"text": "a, b ,c"}, ["a", "b", "c"]),
    (text.join_text, {"parts": ["a", "b"], "separator": "-"}, "a-b"),
    (text.text_similarity, {"first": "abcd", "second": "bcde"}, 0.75),
    (
        text.text_diff,
        {"before": "a\nb\nc", "after": "a\nB\nc"},
        "--- before\n+++ after\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c",
    ),
    (text.closest_matches, {"word": "appel", "candidates": ["ape", "apple", "peach"]}, ["apple", "ape"]),
    (text.levenshtein_distance, {"first": "kitten", "second": "sitting"}, 3),
    (text.sort_lines, {"text": "b\nA\nc", "ignore_case": True, "descending": True}, "c\nb\nA"),
    (text.unique_lines, {"text": "a\nA\nb\na", "ignore_case": True}, "a\nb"),
    (text.number_lines, {"text": "x\ny", "start": 9}, " 9: x\n10: y"),
    (
        text.word_frequencies,
        {"text": "a B b c", "top": 2},
        [{"item": "b", "count": 2}, {"item": "a", "count": 1}],
    ),
    (text.text_ngrams, {"text": "to be or to be", "top": 1}, [{"item": "to be", "count": 2}]),
    (text.text_ngrams, {"text": "aaab", "unit": "characters", "top": 1}, [{"item": "aa", "count": 2}]),
    (
        text.extract_sentences,
        {"text": "Hi there. See e.g. this one! Ok?"},
        ["Hi there.", "See e.g. this one!", "Ok?"],
    ),
    (text.extract_quotes, {"text": 'He said "no" and “yes”.'}, ["no", "yes"]),
    (text.caesar_cipher, {"text": "Xyz, abc!", "shift": 3}, "Abc, def!"),
    (text.caesar_cipher, {"text": "Abc, def!", "shift": -3}, "Xyz, abc!"),
    (text.is_palindrome, {"text": "A man, a plan, a canal: Panama"}, True),
    (text.are_anagrams, {"first": "Dormitory", "second": "dirty room!"}, True),
    (text.common_prefix, {"texts": ["interview", "internet", "interval"]}, "inter"),
    (text.soundex_code, {"word": "Robert"}, "R163"),
    (text.soundex_code, {"word": "Ashcraft"}, "A261"),
    (text.soundex_code, {"word": "Tymczak"}, "T522"),
    (text.soundex_code, {"word": "Pfister"}, "P236"),
    # regex
    (
        regex.regex_find_all,
        {"pattern": "[A-Z]+", "text": "ab CD e F", "limit": 5},
        [{"text": "CD", "start": 3, "end": 5}, {"text": "F", "start": 8, "end": 9}],
    ),
    (
        regex.regex_replace,
        {"pattern": r"(\w+)@(\w+)", "replacement": r"\2 at \1", "text": "me@home"},
        "home at me",
    ),
    (regex.regex_replace, {"pattern": "a", "replacement": "", "text": "banana", "limit": 2}, "bnna"),
    (regex.regex_split, {"pattern": r"\s*[,;]\s*", "text": "a , b;c"}, ["a", "b", "c"]),
    (regex.regex_test, {"pattern": "^B", "text": "a\nb", "flags": "im"}, True),
    (regex.regex_test, {"pattern": "a|ab", "text": "abc", "whole": True}, False),
    (
        regex.regex_groups,
        {"pattern": r"(?P<year>\d{4})-(\d\d)(x)?", "text": "on 2024-05"},
        [{"match": "2024-05", "groups": ["2024", "05", None], "named": {"year": "2024"}}],
    ),
    (regex.regex_escape, {"text": "1+1=2?"}, r"1\+1=2\?"),
    (regex.extract_emails, {"text": "a.b@c.org, <x@y.co.uk> a.b@c.org no@one"}, ["a.b@c.org", "x@y.co.uk"]),
    (
        regex.extract_urls,
        {"text": "See https://a.org/x?y=1. Or (HTTP://b.c)!"},
        ["https://a.org/x?y=1", "HTTP://b.c"],
    ),
    (regex.extract_numbers, {"text": "1,250 at -3.5 °C, v2 and 10."}, [1250.0, -3.5, 10.0]),
    # unicode
    (unicode.unicode_normalize, {"text": "e\u0301", "form": "NFC"}, "é"),
    (unicode.unicode_normalize, {"text": "ﬁ", "form": "NFKC"}, "fi"),
    (
        unicode.unicode_describe,
        {"text": "é\n"},
        [
            {
                "character": "é",
                "code_point": "U+00E9",
                "name": "LATIN SMALL LETTER E WITH ACUTE",
                "category": "Ll",
            },
            {"character": "\n", "code_point": "U+000A", "name": "<control>", "category": "Cc"},
        ],
    ),
    (
        unicode.find_character_by_name,
        {"name": "greek small letter pi"},
        {"character": "π", "code_point": "U+03C0", "name": "GREEK SMALL LETTER PI", "category": "Ll"},
    ),
    (unicode.text_to_code_points, {"text": "A😀"}, ["U+0041", "U+1F600"]),
    (unicode.code_points_to_text, {"code_points": ["U+1F600", "0x41", "e9"]}, "😀Aé"),
    (unicode.unicode_categories, {"text": "Ab1 c"}, {"Ll": 2, "Lu": 1, "Nd": 1, "Zs": 1}),
    (unicode.strip_accents, {"text": "naïve café"}, "naive cafe"),
    (unicode.detect_scripts, {"text": "abc где 漢"}, {"LATIN": 3, "CYRILLIC": 3, "CJK": 1}),
    (
        unicode.find_lookalikes,
        {"text": "p\u0430ypal"},
        [{"position": 1, "character": "\u0430", "name": "CYRILLIC SMALL LETTER A", "looks_like": "a"}],
    ),
    (unicode.unicode_escape, {"text": "é\n\\"}, r"\xe9\n\\"),
    (unicode.unicode_unescape, {"text": r"\u00e9\N{BULLET}\n\ud83d\ude00\\n"}, "é•\n😀\\n"),
    (unicode.utf8_length, {"text": "é😀"}, {"characters": 2, "utf8_bytes": 6, "utf16_units": 3}),
    (unicode.remove_control_characters, {"text": "a\x00b\u200bc\n"}, "abc\n"),
    (unicode.display_width, {"text": "漢字e\u0301"}, 5),
    # json_tools
    (
        json_tools.json_validate,
        {"text": "[1]"},
        {"valid": True, "kind": "array", "error": None, "line": None, "column": None},
    ),
    (
        json_tools.json_validate,
        {"text": '{"a": }'},
        {
            "valid": False,
            "kind": None,
            "error": "not valid JSON at line 1, column 7: Expecting value",
            "line": 1,
            "column": 7,
        },
    ),
    (json_tools.json_format, {"text": '{"a":[1]}', "indent": 1}, '{\n "a": [\n  1\n ]\n}'),
    (json_tools.json_minify, {"text": '{ "a" : "é" }'}, '{"a":"é"}'),
    (
        json_tools.json_sort_keys,
        {"text": '{"b":1,"a":{"d":1,"c":2}}', "indent": 1},
        '{\n "a": {\n  "c": 2,\n  "d": 1\n },\n "b": 1\n}',
    ),
    (
        json_tools.json_compare,
        {"before": '{"a":1,"b":[1,2],"c":true}', "after": '{"a":1.5,"b":[1],"c":1,"d/e":null}'},
        [
            {"path": "/a", "change": "changed", "before": 1, "after": 1.5},
            {"path": "/b/1", "change": "removed", "before": 2, "after": None},
            {"path": "/c", "change": "changed", "before": True, "after": 1},
            {"path": "/d~1e", "change": "added", "before": None, "after": None},
        ],
    ),
    (json_tools.json_get, {"text": '{"a/b":[{"m~n":8}]}', "pointer": "/a~1b/0/m~0n"}, 8),
    (
        json_tools.json_set,
        {"text": '{"a":[1]}', "pointer": "/a/-", "value": {"x": None}},
        '{"a":[1,{"x":null}]}',
    ),
    (json_tools.json_remove, {"text": '{"a":[1,2],"b":3}', "pointer": "/a/0"}, '{"a":[2],"b":3}'),
    (
        json_tools.json_merge,
        {"target": '{"a":"b","c":{"d":"e","f":"g"}}', "patch": '{"a":"z","c":{"f":null}}'},
        '{"a":"z","c":{"d":"e"}}',
    ),
    (
        json_tools.json_flatten,
        {"text": '{"a":{"b":[1,{"c":2}]},"d":{}}'},
        {"a.b.0": 1, "a.b.1.c": 2, "d": {}},
    ),
    (
        json_tools.json_unflatten,
        {"values": {"a.b.0": 1, "a.b.1.c": 2, "d": None}},
        {"a": {"b": [1, {"c": 2}]}, "d": None},
    ),
    (json_tools.json_paths, {"text": '{"a":[1],"b":2}'}, ["/a", "/a/0", "/b"]),
    (json_tools.json_lines_parse, {"text": '{"a":1}\n\n[2]\n'}, [{"a": 1}, [2]]),
    (json_tools.json_lines_build, {"values": [{"a": 1}, "é"]}, '{"a":1}\n"é"\n'),
    (
        json_tools.json_to_csv,
        {"text": '[{"a":1,"b":"x,y"},{"b":null,"c":[true]}]'},
        'a,b,c\n1,"x,y",\n,,[true]\n',
    ),
    (
        json_tools.json_infer_schema,
        {"text": '[{"a":1},{"a":1.5,"b":null}]'},
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "null"}},
                "required": ["a"],
            },
        },
    ),
    (
        json_tools.json_measure,
        {"text": '{"a": [1, 2]}'},
        {
            "characters": 13,
            "minified_characters": 11,
            "depth": 2,
            "objects": 1,
            "arrays": 1,
            "keys": 1,
            "scalars": 2,
        },
    ),
    # csv_tools
    (csv_tools.csv_parse, {"text": 'a;b\n1;"x;y"\n', "delimiter": ";"}, [{"a": "1", "b": "x;y"}]),
    (
        csv_tools.csv_build,
        {"records": [{"a": 1, "b": "x,y"}, {"a": None, "c": True}]},
        'a,b,c\n1,"x,y",\n,,true\n',
    ),
    (csv_tools.csv_columns, {"text": "\ufeff" + PEOPLE}, ["id", "name", "age"]),
    (csv_tools.csv_head, {"text": PEOPLE, "rows": 1}, "id,name,age\n1,Ada,36\n"),
    (csv_tools.csv_select_columns, {"text": PEOPLE, "columns": ["age", "id"]}, "age,id\n36,1\n45,2\n"),
    (
        csv_tools.csv_rename_column,
        {"text": PEOPLE, "column": "name", "new_name": "first"},
        "id,first,age\n1,Ada,36\n2,Grace,45\n",
    ),
    (
        csv_tools.csv_filter_rows,
        {"text": PEOPLE, "column": "age", "comparison": "greater", "value": "40"},
        "id,name,age\n2,Grace,45\n",
    ),
    (
        csv_tools.csv_filter_rows,
        {"text": PEOPLE, "column": "name", "comparison": "contains", "value": "AD"},
        "id,name,age\n1,Ada,36\n",
    ),
    (csv_tools.csv_sort, {"text": "n\n10\n9\nx\n", "column": "n", "numeric": True}, "n\n9\n10\nx\n"),
    (csv_tools.csv_sort, {"text": "n\n10\n9\n", "column": "n", "descending": True}, "n\n9\n10\n"),
    (
        csv_tools.csv_group,
        {"text": SALES, "by": "shop", "column": "sum", "aggregate": "sum"},
        "shop,sum_sum\nA,16.5\nB,20\n",
    ),
    (
        csv_tools.csv_group,
        {"text": SALES, "by": "month", "column": "sum", "aggregate": "count"},
        "month,count_sum\nJan,3\nFeb,1\n",
    ),
    (
        csv_tools.csv_pivot,
        {"text": SALES, "rows": "shop", "columns": "month", "values": "sum"},
        "shop,Jan,Feb\nA,11,5.5\nB,20,\n",
    ),
    (
        csv_tools.csv_column_statistics,
        {"text": "x,y\n1,a\n2,a\n3,a\n4,a\n,a\nn/a,a\n", "column": "x"},
        {
            "rows": 6,
            "empty": 1,
            "distinct": 6,
            "numbers": 4,
            "sum": 10.0,
            "mean": 2.5,
            "median": 2.5,
            "minimum": 1.0,
            "maximum": 4.0,
            "standard_deviation": pytest.approx(1.2909944),
        },
    ),
    (csv_tools.csv_column_numbers, {"text": PEOPLE, "column": "age"}, [36.0, 45.0]),
    (
        csv_tools.csv_join,
        {"left": PEOPLE, "right": "id,name\n2,Hopper\n", "key": "id", "how": "left"},
        "id,name,age,name_right\n1,Ada,36,\n2,Grace,45,Hopper\n",
    ),
    (
        csv_tools.csv_join,
        {"left": PEOPLE, "right": "id,x\n2,H\n2,I\n", "key": "id"},
        "id,name,age,x\n2,Grace,45,H\n2,Grace,45,I\n",
    ),
    (
        csv_tools.csv_compare,
        {"before": PEOPLE, "after": NEW_PEOPLE, "key": "id"},
        {
            "added": [{"id": "3", "name": "Linus", "age": "28"}],
            "removed": [{"id": "1", "name": "Ada", "age": "36"}],
            "changed": [{"key": "2", "column": "age", "before": "45", "after": "46"}],
            "unchanged_rows": 0,
            "added_columns": [],
            "removed_columns": [],
        },
    ),
    (csv_tools.csv_deduplicate, {"text": "a,b\n1,2\n1,3\n1,2\n"}, "a,b\n1,2\n1,3\n"),
    (csv_tools.csv_deduplicate, {"text": "a,b\n1,2\n1,3\n", "columns": ["a"]}, "a,b\n1,2\n"),
    (csv_tools.csv_change_delimiter, {"text": "a;b\n1,5;2\n", "old": ";", "new": ","}, 'a,b\n"1,5",2\n'),
    (csv_tools.csv_to_markdown, {"text": "a,b\n1,x|y\n"}, "| a | b |\n| --- | --- |\n| 1 | x\\|y |"),
    (csv_tools.csv_transpose, {"text": PEOPLE}, "id,1,2\nname,Ada,Grace\nage,36,45\n"),
    (
        csv_tools.csv_file_read,
        {"path": "people.csv", "offset": 1},
        {
            "columns": ["id", "name", "age"],
            "total_rows": 2,
            "rows": [{"id": "2", "name": "Grace", "age": "45"}],
        },
    ),
    (
        csv_tools.csv_file_compare,
        {"before_path": "people.csv", "after_path": "people.csv", "key": "id"},
        {
            "added": [],
            "removed": [],
            "changed": [],
            "unchanged_rows": 2,
            "added_columns": [],
            "removed_columns": [],
        },
    ),
    (csv_tools.csv_file_column, {"path": "new.csv", "column": "age"}, [46.0, 28.0]),
    # xml_html
    (
        xml_html.xml_parse,
        {"text": '<a x="1">t<b/>u</a>'},
        {"tag": "a", "attributes": {"x": "1"}, "text": "t u", "children": [{"tag": "b"}]},
    ),
    (
        xml_html.xml_find,
        {"text": BOOKS, "path": "./book[@lang='en']/title"},
        [{"tag": "title", "text": "Dune"}],
    ),
    (xml_html.xml_text, {"text": BOOKS, "path": "book"}, ["Dune", "Zadig"]),
    (xml_html.xml_attributes, {"text": BOOKS, "path": "book"}, [{"lang": "en"}, {"lang": "fr"}]),
    (xml_html.xml_format, {"text": "<a><b>x</b></a>"}, "<a>\n  <b>x</b>\n</a>"),
    (
        xml_html.xml_build_element,
        {"name": "p", "text": "a < b", "attributes": {"title": 'say "hi"'}},
        '<p title="say &quot;hi&quot;">a &lt; b</p>',
    ),
    (xml_html.html_escape, {"text": "<a href='x'>&"}, "&lt;a href=&#x27;x&#x27;&gt;&amp;"),
    (xml_html.html_unescape, {"text": "caf&eacute; &#8364;5"}, "café €5"),
    (xml_html.html_to_text, {"text": PAGE}, "Books & more\nRead Dune!\nTitle\nCopies\nDune\n7"),
    (
        xml_html.html_links,
        {"text": PAGE, "base_url": "https://shop.example/list/"},
        [{"url": "https://shop.example/dune", "text": "Dune"}],
    ),
    (xml_html.html_table, {"text": PAGE}, [["Title", "Copies"], ["Dune", "7"]]),
    # toml_ini
    (
        toml_ini.toml_parse,
        {"text": TOML},
        {"title": "x", "tool": {"day": "2024-02-29", "ports": [80, 443]}},
    ),
    (toml_ini.toml_get, {"text": TOML, "key": "tool.ports.1"}, 443),
    (
        toml_ini.toml_compare,
        {"before": "a = 1\n[b]\nc = 2\n", "after": "a = 1\n[b]\nc = 3\nd = 4\n"},
        [{"key": "b.c", "before": 2, "after": 3}, {"key": "b.d", "before": None, "after": 4}],
    ),
    (
        toml_ini.ini_parse,
        {"text": "[Main]\nKey = a b\nflag\n[DEFAULT]\nx: %(y)s\n"},
        {"Main": {"Key": "a b", "flag": None}, "DEFAULT": {"x": "%(y)s"}},
    ),
    (toml_ini.ini_build, {"sections": {"s": {"Key": "v 1"}}}, "[s]\nKey = v 1\n\n"),
    (
        toml_ini.dotenv_parse,
        {"text": "# c\nexport A=1 # one\nB='x # y'\nC=\"a\\nb\"\nD=\n"},
        {"A": "1", "B": "x # y", "C": "a\nb", "D": ""},
    ),
    # encoding
    (encoding.base64_encode, {"text": "hi?>", "alphabet": "url"}, "aGk_Pg=="),
    (encoding.base64_decode, {"text": "aGk_\nPg"}, "hi?>"),
    (encoding.base64_decode, {"text": "/w==", "output": "hex"}, "ff"),
    (encoding.base32_encode, {"text": "hello"}, "NBSWY3DP"),
    (encoding.base32_decode, {"text": "nbswy3dpee"}, "hello!"),
    (encoding.base85_encode, {"text": "hello"}, "Xk~0{Zv"),
    (encoding.base85_decode, {"text": "Xk~0{Zv"}, "hello"),
    (encoding.ascii85_encode, {"text": "Man "}, "9jqo^"),
    (encoding.ascii85_decode, {"text": "<~9jqo^~>"}, "Man "),
    (encoding.hex_encode, {"text": "é", "separator": ":"}, "c3:a9"),
    (encoding.hex_decode, {"text": "C3:a9 21"}, "é!"),
    (encoding.quoted_printable_encode, {"text": "café=1"}, "caf=C3=A9=3D1"),
    (encoding.quoted_printable_decode, {"text": "caf=C3=A9 au=\n lait"}, "café au lait"),
    (encoding.percent_encode, {"text": "a b/é", "safe": "/"}, "a%20b/%C3%A9"),
    (encoding.percent_decode, {"text": "caf%C3%A9+1", "plus_is_space": True}, "café 1"),
    (encoding.idna_encode, {"domain": "bücher.example"}, "xn--bcher-kva.example"),
    (encoding.idna_decode, {"domain": "xn--bcher-kva.example"}, "bücher.example"),
    (encoding.morse_encode, {"text": "sos ok"}, "... --- ... / --- -.-"),
    (encoding.morse_decode, {"text": "... --- .../--- -.-"}, "SOS OK"),
    (encoding.rot13, {"text": "Hello"}, "Uryyb"),
    (encoding.binary_encode, {"text": "Hi"}, "01001000 01101001"),
    (encoding.binary_decode, {"text": "0100100001101001"}, "Hi"),
    # hashing: the published test vectors of each function
    (
        hashing.sha256_hash,
        {"text": "abc"},
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    (
        hashing.sha512_hash,
        {"text": "abc"},
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ),
    (hashing.sha1_hash, {"text": "abc"}, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (hashing.md5_hash, {"text": "abc"}, "900150983cd24fb0d6963f7d28e17f72"),
    (
        hashing.sha3_hash,
        {"text": "abc"},
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    ),
    (
        hashing.blake2b_hash,
        {"text": "abc"},
        (
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
        ),
    ),
    (hashing.crc32_checksum, {"text": "123456789"}, {"decimal": 0xCBF43926, "hexadecimal": "cbf43926"}),
    (hashing.adler32_checksum, {"text": "Wikipedia"}, {"decimal": 0x11E60398, "hexadecimal": "11e60398"}),
    (
        hashing.hmac_sign,
        {"text": "what do ya want for nothing?", "key": "Jefe"},
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        hashing.hmac_verify,
        {
            "text": "what do ya want for nothing?",
            "key": "Jefe",
            "signature": "5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843",
        },
        True,
    ),
    (hashing.digests_equal, {"first": "AB CD", "second": "abcd"}, True),
    (hashing.digests_equal, {"first": "é", "second": "abcd"}, False),
    (
        hashing.file_hash,
        {"path": "docs/readme.md", "algorithm": "md5"},
        {
            "path": "docs/readme.md",
            "algorithm": "md5",
            "digest": "f86bd1d282c6cc058b90ed042b5db863",
            "bytes": 8,
        },
    ),
    (
        hashing.file_checksum_matches,
        {"path": "docs/readme.md", "expected": "00"},
        False,
    ),
    (
        hashing.uuid_from_name,
        {"name": "python.org", "namespace": "dns"},
        "886313e1-3b8a-5372-9b90-0c9aee199e5d",
    ),
    (
        hashing.uuid_from_name,
        {"name": "python.org", "namespace": "dns", "version": 3},
        "6fa459ea-ee8a-3ca4-894e-db77e160355e",
    ),
    (
        hashing.pbkdf2_derive,
        {"password": "passwd", "salt": "salt", "iterations": 1, "length": 64},
        (
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
            "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        ),
    ),
    # compression
    (
        compression.compress_text,
        {"text": "a" * 1000, "algorithm": "zlib"},
        lambda result: result["original_bytes"] == 1000 and result["compressed_bytes"] < 30,
    ),
    (
        compression.decompress_text,
        {"data": base64.b64encode(gzip.compress("grüß".encode())).decode()},
        "grüß",
    ),
    (
        compression.compare_compression,
        {"text": "abc" * 1000},
        lambda result: len(result) == 4 and result[0]["algorithm"] == "zlib" and result[0]["ratio"] < 0.02,
    ),
    (
        compression.gzip_file,
        {"path": "notes.txt", "target_path": "new/notes.gz"},
        lambda result: result["path"] == "new/notes.gz" and result["bytes"] > 20,
    ),
    (
        compression.gunzip_file,
        {"path": "notes.txt.gz", "target_path": "plain.txt"},
        {"path": "plain.txt", "bytes": 7},
    ),
    (
        compression.zip_create,
        {"path": "new.zip", "files": ["notes.txt", "docs/readme.md"]},
        lambda result: (
            [(m["name"], m["bytes"]) for m in result] == [("notes.txt", 22), ("docs/readme.md", 8)]
        ),
    ),
    (
        compression.zip_list,
        {"path": "bundle.zip"},
        [{"name": "a/hello.txt", "bytes": 6, "compressed_bytes": 6, "modified": "2020-01-02T03:04:06"}],
    ),
    (compression.zip_read_text, {"path": "bundle.zip", "member": "a/hello.txt"}, "hello\n"),
    (
        compression.zip_extract,
        {"path": "bundle.zip", "folder": "out"},
        [{"path": "out/a/hello.txt", "bytes": 6}],
    ),
    # urls
    (
        urls.url_parse,
        {"url": "https://me@Example.org:8443/a/b?x=1&x=2&y=#top"},
        {
            "scheme": "https",
            "user": "me",
            "host": "example.org",
            "port": 8443,
            "path": "/a/b",
            "query": {"x": ["1", "2"], "y": [""]},
            "fragment": "top",
        },
    ),
    (
        urls.url_build,
        {"host": "example.org", "path": "a b/é", "query": {"q": "x&y"}},
        "https://example.org/a%20b/%C3%A9?q=x%26y",
    ),
    (urls.url_join, {"base": "https://a.org/b/c", "reference": "../d?x"}, "https://a.org/d?x"),
    (urls.query_parse, {"query": "?a=1&b=x+y&a=%C3%A9"}, {"a": ["1", "é"], "b": ["x y"]}),
    (urls.query_build, {"parameters": {"a": ["1", "2"], "b": "x y"}}, "a=1&a=2&b=x+y"),
    (
        urls.url_set_query,
        {"url": "https://a.org/?a=1&b=2#f", "parameters": {"a": "9"}},
        "https://a.org/?b=2&a=9#f",
    ),
    (
        urls.url_normalize,
        {"url": "HTTPS://Example.ORG:443/a/./b/../%7ec%2f?b=2&a=1", "sort_query": True},
        "https://example.org/a/~c%2F?a=1&b=2",
    ),
    (
        urls.url_strip_tracking,
        {"url": "https://a.org/p?id=7&utm_source=x&fbclid=y"},
        "https://a.org/p?id=7",
    ),
    (urls.url_is_valid, {"url": "https://example.org/a?b=%20"}, {"valid": True, "problem": None}),
    (
        urls.url_is_valid,
        {"url": "ftp://example.org"},
        {"valid": False, "problem": "the scheme must be http or https, got 'ftp'"},
    ),
    (
        urls.url_domain_parts,
        {"url": "https://www.example.co.uk/x"},
        {
            "host": "www.example.co.uk",
            "is_ip_address": False,
            "labels": ["www", "example", "co", "uk"],
            "top_level": "uk",
            "parent": "example.co.uk",
        },
    ),
    (
        urls.url_compare,
        {"first": "http://A.org:80/x?a=1&b=2", "second": "http://a.org/y?b=2&a=1"},
        {"equal": False, "differing_parts": ["path"]},
    ),
    (
        urls.url_expand_template,
        {
            "template": "/u/{id}/{+path}{?page,limit}{&x}",
            "values": {"id": "a b", "path": "c/d", "page": "2", "x": "é"},
        },
        "/u/a%20b/c/d?page=2&x=%C3%A9",
    ),
    (
        urls.data_url_parse,
        {"url": "data:text/html;charset=utf-8;base64,SGk="},
        {
            "media_type": "text/html",
            "parameters": ["charset=utf-8"],
            "is_base64": True,
            "bytes": 2,
            "text": "Hi",
            "base64": "SGk=",
        },
    ),
    (
        urls.data_url_build,
        {"text": "Hi é", "encoding": "percent"},
        "data:text/plain;charset=utf-8,Hi%20%C3%A9",
    ),
    (
        urls.mailto_build,
        {"to": ["a@b.org"], "subject": "Hi & bye", "cc": ["c@d.org"]},
        "mailto:a@b.org?cc=c@d.org&subject=Hi%20%26%20bye",
    ),
    # networks
    (
        networks.ip_address_info,
        {"address": "192.168.1.10"},
        {
            "address": "192.168.1.10",
            "version": 4,
            "is_private": True,
            "is_global": False,
            "is_loopback": False,
            "is_link_local": False,
            "is_multicast": False,
            "is_reserved": False,
            "reverse_pointer": "10.1.168.192.in-addr.arpa",
        },
    ),
    (networks.ip_is_private, {"address": "8.8.8.8"}, False),
    (
        networks.subnet_info,
        {"network": "10.1.2.3/20"},
        {
            "network": "10.1.0.0/20",
            "version": 4,
            "prefix_length": 20,
            "netmask": "255.255.240.0",
            "network_address": "10.1.0.0",
            "last_address": "10.1.15.255",
            "total_addresses": 4096,
            "usable_hosts": 4094,
            "is_private": True,
        },
    ),
    (networks.network_address, {"network": "10.1.2.3/20"}, "10.1.0.0"),
    (networks.broadcast_address, {"network": "10.1.2.3/20"}, "10.1.15.255"),
    (networks.usable_host_count, {"network": "10.0.0.0/26"}, 62),
    (networks.usable_host_count, {"network": "10.0.0.0/31"}, 2),
    (networks.subnet_hosts, {"network": "10.0.0.0/30"}, ["10.0.0.1", "10.0.0.2"]),
    (networks.subnet_hosts, {"network": "2001:db8::/64", "limit": 2}, ["2001:db8::", "2001:db8::1"]),
    (
        networks.subnet_split,
        {"network": "10.0.0.0/24", "new_prefix": 26},
        ["10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/26", "10.0.0.192/26"],
    ),
    (networks.subnet_supernet, {"network": "10.1.4.0/24", "new_prefix": 16}, "10.1.0.0/16"),
    (networks.subnet_contains, {"network": "10.0.0.0/8", "address": "10.9.9.9"}, True),
    (networks.subnet_contains, {"network": "10.0.0.0/8", "address": "2001:db8::1"}, False),
    (
        networks.subnet_overlaps,
        {"networks": ["10.0.0.0/16", "10.0.4.0/24", "10.1.0.0/16", "2001:db8::/32"]},
        [{"first": "10.0.0.0/16", "second": "10.0.4.0/24"}],
    ),
    (
        networks.subnet_free_space,
        {"network": "10.0.0.0/24", "used": ["10.0.0.64/26", "10.0.0.192/26"]},
        ["10.0.0.0/26", "10.0.0.128/26"],
    ),
    (
        networks.next_free_subnet,
        {"network": "10.0.0.0/16", "used": ["10.0.0.0/24", "10.0.1.0/25"], "prefix_length": 24},
        "10.0.2.0/24",
    ),
    (
        networks.collapse_subnets,
        {"networks": ["10.0.0.0/25", "10.0.0.128/25", "10.0.1.0/24", "::1"]},
        ["10.0.0.0/23", "::1/128"],
    ),
    (
        networks.ip_range_to_subnets,
        {"first": "192.0.2.0", "last": "192.0.2.130"},
        ["192.0.2.0/25", "192.0.2.128/31", "192.0.2.130/32"],
    ),
    (networks.ip_to_integer, {"address": "10.0.0.1"}, {"decimal": "167772161", "hexadecimal": "0a000001"}),
    (networks.integer_to_ip, {"number": "0x0a000001"}, "10.0.0.1"),
    (networks.integer_to_ip, {"number": "1", "version": 6}, "::1"),
    (networks.netmask_to_prefix, {"netmask": "255.255.240.0"}, 20),
    (networks.prefix_to_netmask, {"prefix_length": 20}, "255.255.240.0"),
    (networks.wildcard_mask, {"network": "192.168.10.0/22"}, "0.0.3.255"),
    (networks.ip_reverse_pointer, {"address": "192.0.2.5"}, "5.2.0.192.in-addr.arpa"),
    (
        networks.sort_ip_addresses,
        {"addresses": ["10.0.0.10", "::1", "10.0.0.9", "10.0.0.9"], "unique": True},
        ["10.0.0.9", "10.0.0.10", "::1"],
    ),
    (networks.ipv6_compress, {"address": "2001:0db8:0000:0000:0000:0000:0000:0001"}, "2001:db8::1"),
    (networks.ipv6_expand, {"address": "2001:db8::1"}, "2001:0db8:0000:0000:0000:0000:0000:0001"),
    (networks.mac_normalize, {"address": "001A.2B3C.4D5E", "style": "hyphen"}, "00-1a-2b-3c-4d-5e"),
    (networks.mac_normalize, {"address": "00-1a-2b-3c-4d-5e", "style": "dot"}, "001a.2b3c.4d5e"),
    # files
    (
        files.file_list,
        {"folder": "docs"},
        [
            {"path": "docs/empty", "kind": "folder", "bytes": 0, "modified": EPOCH},
            {"path": "docs/readme.md", "kind": "file", "bytes": 8, "modified": EPOCH},
        ],
    ),
    (files.file_read, {"path": "notes.txt", "first_line": 2, "lines": 1}, "beta\n"),
    (files.file_write, {"path": "new/a.txt", "text": "é"}, {"path": "new/a.txt", "bytes": 2}),
    (files.file_append, {"path": "notes.txt", "text": "!"}, {"path": "notes.txt", "bytes": 23}),
    (files.file_append, {"path": "log/new.txt", "text": "!"}, {"path": "log/new.txt", "bytes": 1}),
    (
        files.file_replace_text,
        {"path": "notes.txt", "old": "alpha", "new": "omega!"},
        {"path": "notes.txt", "bytes": 23},
    ),
    (files.file_delete, {"path": "notes.txt"}, "Deleted notes.txt."),
    (files.file_copy, {"path": "notes.txt", "target_path": "x/y.txt"}, {"path": "x/y.txt", "bytes": 22}),
    (
        files.file_move,
        {"path": "notes.txt", "target_path": "docs/n.txt"},
        {"path": "docs/n.txt", "kind": "file", "bytes": 22, "modified": EPOCH},
    ),
    (
        files.file_info,
        {"path": "notes.txt"},
        {"path": "notes.txt", "kind": "file", "bytes": 22, "modified": EPOCH},
    ),
    (files.file_find, {"pattern": "*.md"}, ["docs/readme.md"]),
    (
        files.file_search_text,
        {"text": "BETA", "pattern": "*.txt"},
        [
            {"path": "notes.txt", "line": 2, "text": "beta"},
            {"path": "notes.txt", "line": 3, "text": "Gamma Beta"},
        ],
    ),
    (files.directory_create, {"folder": "x/y"}, "x/y exists."),
    (files.directory_remove, {"folder": "docs/empty"}, "Removed docs/empty."),
    (
        files.directory_tree,
        {},
        "bundle.zip\ndocs/\n  empty/\n  readme.md\nnew.csv\nnotes.txt\nnotes.txt.gz\npeople.csv\nshop.db",
    ),
    (
        files.disk_usage,
        {"folder": "docs"},
        {"files": 1, "folders": 1, "bytes": 8, "bytes_by_suffix": {".md": 8}},
    ),
    (files.path_join, {"parts": ["a/b", "../c", "./d.txt"]}, "a/c/d.txt"),
    (
        files.path_parts,
        {"path": "/srv/data/a.tar.gz"},
        {
            "parent": "/srv/data",
            "name": "a.tar.gz",
            "stem": "a.tar",
            "suffix": ".gz",
            "parts": ["/", "srv", "data", "a.tar.gz"],
            "is_absolute": True,
        },
    ),
    (files.path_relative, {"path": "a/b/c", "start": "a/d"}, "../b/c"),
    (files.path_change_suffix, {"path": "docs/a.txt", "suffix": ".md"}, "docs/a.md"),
    # sqlite_tools
    (
        sqlite_tools.sqlite_tables,
        {"path": "shop.db"},
        [{"name": "book", "kind": "table"}, {"name": "scarce", "kind": "view"}],
    ),
    (
        sqlite_tools.sqlite_schema,
        {"path": "shop.db"},
        lambda result: (
            result[0]["columns"][:2]
            == [
                {"name": "id", "type": "INTEGER", "required": False, "primary_key": True},
                {"name": "title", "type": "TEXT", "required": True, "primary_key": False},
            ]
            and result[1]["sql"].startswith("CREATE VIEW scarce")
        ),
    ),
    (sqlite_tools.sqlite_row_counts, {"path": "shop.db"}, {"book": 2}),
    (
        sqlite_tools.sqlite_query,
        {
            "path": "shop.db",
            "sql": "SELECT title, copies, x'00ff', 9e999 FROM book WHERE copies > ?",
            "parameters": [5],
        },
        {
            "columns": ["title", "copies", "x'00ff'", "9e999"],
            "rows": [["Dune", 7, "00ff", "inf"]],
            "truncated": False,
        },
    ),
    (
        sqlite_tools.sqlite_query,
        {"path": "shop.db", "sql": "SELECT title FROM book ORDER BY 1", "limit": 1},
        {"columns": ["title"], "rows": [["Dune"]], "truncated": True},
    ),
    (
        sqlite_tools.sqlite_explain,
        {"path": "shop.db", "sql": "SELECT * FROM book WHERE id = ?", "parameters": [1]},
        ["SEARCH book USING INTEGER PRIMARY KEY (rowid=?)"],
    ),
    (
        sqlite_tools.sqlite_execute,
        {"path": "shop.db", "sql": "UPDATE book SET copies = copies - ?", "parameters": [1]},
        {"rows_changed": 2, "last_row_id": None},
    ),
    (
        sqlite_tools.sqlite_import_csv,
        {"path": "data/new.db", "table": "people", "text": PEOPLE},
        {"rows_changed": 2, "last_row_id": None},
    ),
    (
        sqlite_tools.sqlite_export_csv,
        {"path": "shop.db", "sql": "SELECT title FROM book", "target_path": "out.csv"},
        {"path": "out.csv", "rows": 2, "bytes": 16},
    ),
    # parsing
    (
        parsing.semver_parse,
        {"version": "v1.4.0-beta.2+sha.5"},
        {"major": 1, "minor": 4, "patch": 0, "prerelease": "beta.2", "build": "sha.5"},
    ),
    (parsing.semver_compare, {"first": "1.0.0-rc.1", "second": "1.0.0"}, "older"),
    (parsing.semver_compare, {"first": "1.0.0+a", "second": "1.0.0+b"}, "same"),
    (
        parsing.semver_sort,
        {
            "versions": [
                "1.0.0",
                "1.0.0-rc.1",
                "1.0.0-beta.11",
                "1.0.0-beta.2",
                "1.0.0-beta",
                "1.0.0-alpha.beta",
                "1.0.0-alpha.1",
                "1.0.0-alpha",
                "0.10.0",
                "0.9.0",
            ]
        },
        [
            "0.9.0",
            "0.10.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
        ],
    ),
    (parsing.semver_bump, {"version": "1.4.2", "part": "minor"}, "1.5.0"),
    (parsing.semver_bump, {"version": "2.0.0-rc.1", "part": "major"}, "2.0.0"),
    (parsing.semver_bump, {"version": "1.4.2-rc.1", "part": "patch"}, "1.4.2"),
    (
        parsing.cron_next_runs,
        {"expression": "30 9 * * mon-fri", "after": "2024-05-03T09:30:00+02:00", "count": 2},
        ["2024-05-06T09:30+02:00", "2024-05-07T09:30+02:00"],
    ),
    (
        parsing.cron_next_runs,
        {"expression": "0 0 29 feb *", "after": "2024-03-01T00:00:00", "count": 2},
        ["2028-02-29T00:00", "2032-02-29T00:00"],
    ),
    (
        parsing.cron_next_runs,
        {"expression": "*/20 8 13 * 5", "after": "2024-09-12T00:00:00", "count": 4},
        ["2024-09-13T08:00", "2024-09-13T08:20", "2024-09-13T08:40", "2024-09-20T08:00"],
    ),
    (
        parsing.http_headers_parse,
        {"text": "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Empty:\r\n\r\nbody"},
        {"set-cookie": ["a=1", "b=2"], "x-empty": [""]},
    ),
    (
        parsing.email_headers_parse,
        {
            "text": "From: Ada <ada@a.org>\nTo: b@b.org, C <c@c.org>\nSubject: =?utf-8?q?Caf=C3=A9?=\n"
            "Date: Fri, 03 May 2024 09:30:00 +0200\n\nHello"
        },
        {
            "subject": "Café",
            "sender": ["ada@a.org"],
            "to": ["b@b.org", "c@c.org"],
            "cc": [],
            "date": "2024-05-03T09:30:00+02:00",
            "message_id": None,
            "headers": [
                ["From", "Ada <ada@a.org>"],
                ["To", "b@b.org, C <c@c.org>"],
                ["Subject", "Café"],
                ["Date", "Fri, 03 May 2024 09:30:00 +0200"],
            ],
        },
    ),
    (
        parsing.shell_split,
        {"command": "git commit -m 'it works' --x=\"a b\""},
        ["git", "commit", "-m", "it works", "--x=a b"],
    ),
    (parsing.shell_quote, {"arguments": ["echo", "a b", "$x"]}, "echo 'a b' '$x'"),
    (
        parsing.key_values_parse,
        {"text": "host=db; port = 5432;url=a=b;"},
        {"host": "db", "port": "5432", "url": "a=b"},
    ),
    (
        parsing.python_literal_parse,
        {"text": "{'a': (1, None), 2: {True}, 'b': -1.5}"},
        {"a": [1, None], "2": [True], "b": -1.5},
    ),
    (parsing.arithmetic_evaluate, {"expression": "2 * (3 + 4) ** 2 / sqrt(16)"}, 24.5),
    (parsing.arithmetic_evaluate, {"expression": "max(7 // 2, -1) % 2"}, 1),
    # colors
    (colors.color_to_rgb, {"color": "#F80"}, {"red": 255, "green": 136, "blue": 0}),
    (colors.rgb_to_hex, {"red": 255, "green": 136, "blue": 0}, "#ff8800"),
    (colors.color_to_hsl, {"color": "#ff8800"}, {"hue": 32.0, "saturation": 100.0, "lightness": 50.0}),
    (colors.hsl_to_hex, {"hue": 32, "saturation": 100, "lightness": 50}, "#ff8800"),
    (colors.color_to_hsv, {"color": "808080"}, {"hue": 0.0, "saturation": 0.0, "value": 50.2}),
    (colors.hsv_to_hex, {"hue": 120, "saturation": 100, "value": 100}, "#00ff00"),
    (colors.color_to_cmyk, {"color": "#ff8800"}, {"cyan": 0.0, "magenta": 46.7, "yellow": 100.0, "key": 0.0}),
    (
        colors.contrast_ratio,
        {"first": "#777", "second": "#fff"},
        {"ratio": 4.48, "aa_text": False, "aa_large_text": True, "aaa_text": False},
    ),
    (colors.readable_text_color, {"background": "#ff0"}, "#000000"),
    (colors.mix_colors, {"first": "#f00", "second": "#00f"}, "#800080"),
    (colors.lighten_color, {"color": "#800000", "amount": 25}, "#ff0000"),
    (colors.darken_color, {"color": "#f00", "amount": 25}, "#800000"),
    (colors.complementary_color, {"color": "#f00"}, "#00ffff"),
    (colors.color_palette, {"color": "#f00", "scheme": "triadic"}, ["#ff0000", "#00ff00", "#0000ff"]),
    (
        colors.color_palette,
        {"color": "#f00", "scheme": "shades"},
        ["#330000", "#990000", "#ff0000", "#ff6666", "#ffcccc"],
    ),
]


def name_of(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(("tool", "arguments", "expected"), CASES, ids=name_of)
def test_tool_gives_the_expected_value(tool: Tool, arguments: dict[str, Any], expected: Any) -> None:
    result = call(tool, arguments)
    if callable(expected):
        assert expected(result), result
    else:
        assert result == expected


MANY = "x" * 300
FAILURES: list[tuple[Tool, dict[str, Any], str]] = [
    (text.soundex_code, {"word": "?"}, "must hold letters"),
    (text.text_diff, {"before": "\n" * 2000, "after": ""}, "at most 1,000 lines"),
    (text.replace_text, {"text": "a" * 9999, "phrase": "a", "replacement": MANY}, "at most 1,000,000"),
    (regex.regex_find_all, {"pattern": "(", "text": ""}, "must be valid"),
    (regex.regex_test, {"pattern": "(a+)+b", "text": "a" * 60}, "must finish within 3 s"),
    (regex.regex_replace, {"pattern": "a", "replacement": r"\1", "text": "a"}, "must be valid"),
    (
        regex.regex_replace,
        {"pattern": "(?=(.*))", "replacement": r"\1" * 9, "text": "a" * 9999},
        "at most 1,000,000",
    ),
    (unicode.code_points_to_text, {"code_points": ["U+D800"]}, "no surrogate"),
    (unicode.code_points_to_text, {"code_points": ["xyz"]}, "hexadecimal"),
    (unicode.unicode_unescape, {"text": r"\ud800"}, "come in a pair"),
    (unicode.unicode_unescape, {"text": r"\U00110000"}, "at most 10FFFF"),
    (unicode.find_character_by_name, {"name": "no such"}, "Unicode character name"),
    (json_tools.json_format, {"text": "{"}, "not valid JSON at line 1, column 2"),
    (json_tools.json_format, {"text": "[" * 99_999}, "nest at most"),
    (json_tools.json_format, {"text": "[" * 99 + "]" * 99}, "nest at most"),
    (json_tools.json_format, {"text": "1e999"}, "must be finite"),
    (json_tools.json_format, {"text": "NaN"}, "must be finite"),
    (json_tools.json_get, {"text": r'"\ud800"', "pointer": ""}, "half of a surrogate pair"),
    (json_tools.json_get, {"text": "[1]", "pointer": "/01"}, "no item '01'"),
    (json_tools.json_remove, {"text": "{}", "pointer": "/a"}, "there is no 'a'"),
    (json_tools.json_set, {"text": "1", "pointer": "/a", "value": 1}, "into an object or array"),
    (json_tools.json_unflatten, {"values": {"a": 1, "a.b": 2}}, "inside the value of another"),
    (json_tools.json_flatten, {"text": '{"a.b":1,"a":{"b":2}}'}, "twice"),
    (json_tools.json_to_csv, {"text": "{}"}, "array of objects"),
    (json_tools.json_to_csv, {"text": json.dumps([{f"k{i}": 1} for i in range(999)])}, "200,000 cells"),
    (csv_tools.csv_head, {"text": "a,b\n1\n"}, "row 1 has 1"),
    (csv_tools.csv_head, {"text": "a,a\n1,2\n"}, "must differ"),
    (csv_tools.csv_head, {"text": 'a\n"x\n'}, "must be CSV"),
    (csv_tools.csv_column_numbers, {"text": PEOPLE, "column": "name"}, "got 'Ada' in row 1"),
    (csv_tools.csv_column_numbers, {"text": PEOPLE, "column": "x"}, "must be one of id, name, age"),
    (csv_tools.csv_column_numbers, {"text": "a\ninf\n", "column": "a"}, "must hold numbers"),
    (csv_tools.csv_compare, {"before": "k\n1\n1\n", "after": "k\n", "key": "k"}, "must differ in every row"),
    (
        csv_tools.csv_join,
        {"left": "k\n" + "1\n" * 200, "right": "k\n" + "1\n" * 200, "key": "k"},
        "10,000 rows",
    ),
    (csv_tools.csv_file_read, {"path": "notes.txt.gz"}, "must be UTF-8"),
    (csv_tools.csv_file_read, {"path": "none.csv"}, "got nothing at 'none.csv'"),
    (xml_html.xml_parse, {"text": "<a>"}, "well-formed"),
    (xml_html.xml_parse, {"text": "<a>" * 99 + "</a>" * 99}, "nest at most"),
    (xml_html.xml_find, {"text": "<a/>", "path": "b["}, "XPath subset"),
    (xml_html.xml_find, {"text": "<a/>", "path": ".//*//*//*"}, "at most twice"),
    (xml_html.xml_build_element, {"name": "a", "text": "\x00"}, "no control characters"),
    (xml_html.html_table, {"text": "<p>"}, "number must be at most 0"),
    (toml_ini.toml_parse, {"text": "a = "}, "must be TOML"),
    (toml_ini.toml_parse, {"text": "a = nan"}, "must be finite"),
    (toml_ini.toml_parse, {"text": "a = " + "[" * 9999}, "must nest less deeply"),
    (toml_ini.toml_get, {"text": "a = 1", "key": "a.b"}, "there is no 'b'"),
    (toml_ini.ini_parse, {"text": "a = 1"}, "must be INI"),
    (toml_ini.ini_parse, {"text": "[s]\nflag\n more\n"}, "must be INI"),
    (toml_ini.ini_build, {"sections": {"s": {"a=b": "1"}}}, "must read back"),
    (toml_ini.dotenv_parse, {"text": "A='1"}, "close its quotation mark"),
    (encoding.base64_decode, {"text": "/w=="}, "ask for hex output"),
    (encoding.base64_decode, {"text": "é"}, "must be ASCII"),
    (encoding.base64_decode, {"text": "a"}, "number of data characters (1)"),
    (encoding.morse_encode, {"text": "é"}, "that Morse code has"),
    (encoding.binary_decode, {"text": "0101"}, "groups of eight"),
    (encoding.idna_encode, {"domain": "a..b"}, "IDNA can encode"),
    (hashing.blake2b_hash, {"text": "", "key": "é" * 64}, "maximum key length is 64 bytes"),
    (compression.decompress_text, {"data": "AAAA"}, "must be gzip data"),
    (
        compression.decompress_text,
        {"data": base64.b64encode(gzip.compress(b"x" * 99)[:-9]).decode()},
        "complete",
    ),
    (compression.zip_read_text, {"path": "bundle.zip", "member": "no"}, "one of the archive's names"),
    (compression.zip_list, {"path": "notes.txt"}, "readable zip file"),
    (compression.zip_create, {"path": "bundle.zip", "files": ["notes.txt"]}, "File exists"),
    (urls.url_parse, {"url": "http://a:99999/"}, "Port out of range"),
    (urls.url_build, {"host": "a/b"}, "must be a host name"),
    (urls.url_normalize, {"url": "/a"}, "must name a host"),
    (urls.url_expand_template, {"template": "/{#x}", "values": {}}, "must hold only"),
    (urls.data_url_parse, {"url": "http://x"}, "must look like data:"),
    (networks.subnet_info, {"network": "10.0.0.0/99"}, "not appear to be"),
    (networks.broadcast_address, {"network": "::/64"}, "must be IPv4"),
    (networks.subnet_split, {"network": "10.0.0.0/8", "new_prefix": 30}, "must be from 8 to 18"),
    (
        networks.next_free_subnet,
        {"network": "10.0.0.0/24", "used": ["10.0.0.0/8"], "prefix_length": 26},
        "is free",
    ),
    (networks.ip_range_to_subnets, {"first": "10.0.0.2", "last": "10.0.0.1"}, "must not come before"),
    (networks.netmask_to_prefix, {"netmask": "255.0.255.0"}, "ones followed by zeros"),
    (networks.mac_normalize, {"address": "00:1a:2b:3c:4d"}, "twelve hexadecimal"),
    (files.file_write, {"path": "notes.txt", "text": "x"}, "File exists"),
    (files.file_write, {"path": "docs", "text": "x", "overwrite": True}, "Is a directory"),
    (files.file_replace_text, {"path": "notes.txt", "old": "et", "new": "x"}, "occurs 2 times"),
    (files.file_copy, {"path": "notes.txt", "target_path": "people.csv"}, "must not exist"),
    (files.file_move, {"path": "docs", "target_path": "docs/inner"}, "not hold the target"),
    (files.file_delete, {"path": "docs"}, "got a folder"),
    (files.file_move, {"path": "notes.txt", "target_path": "é" * 200}, "at most 255 bytes"),
    (files.file_write, {"path": "notes.txt/x", "text": ""}, "'notes.txt/x' cannot be used"),
    (files.directory_remove, {"folder": "docs"}, "not empty"),
    (files.directory_remove, {"folder": "."}, "itself stays"),
    (files.path_relative, {"path": "/a", "start": "b"}, "both be absolute or both relative"),
    (sqlite_tools.sqlite_tables, {"path": "notes.txt"}, "not a database"),
    (sqlite_tools.sqlite_query, {"path": "shop.db", "sql": "SELECT 1; SELECT 2"}, "one statement"),
    (sqlite_tools.sqlite_import_csv, {"path": "shop.db", "table": "book", "text": "a\n1"}, "already exists"),
    (
        sqlite_tools.sqlite_export_csv,
        {"path": "shop.db", "sql": "SELECT 1", "target_path": "new.csv"},
        "File exists",
    ),
    (parsing.semver_parse, {"version": "1.02.3"}, "semantic version"),
    (parsing.semver_parse, {"version": "1.2.3-01"}, "semantic version"),
    (parsing.cron_next_runs, {"expression": "61 * * * *", "after": "2024-01-01T00:00:00"}, "from 0 to 59"),
    (parsing.cron_next_runs, {"expression": "* * *", "after": "2024-01-01T00:00:00"}, "five fields"),
    (parsing.http_headers_parse, {"text": "no header"}, "must look like"),
    (parsing.shell_split, {"command": "echo 'x"}, "must be complete"),
    (parsing.key_values_parse, {"text": "a"}, "key=value"),
    (parsing.python_literal_parse, {"text": "__import__('os')"}, "must be a Python literal"),
    (parsing.python_literal_parse, {"text": "[" * 4999}, "must be a Python literal"),
    (parsing.python_literal_parse, {"text": "1e999"}, "JSON can hold"),
    (parsing.arithmetic_evaluate, {"expression": "9**9**9"}, "at most 1000 bits"),
    (parsing.arithmetic_evaluate, {"expression": "().__class__"}, "numbers"),
    (parsing.arithmetic_evaluate, {"expression": "1e308 * 10"}, "finite"),
    (parsing.arithmetic_evaluate, {"expression": "(-1) ** 0.5"}, "finite real"),
]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(("tool", "arguments", "message"), FAILURES, ids=name_of)
def test_wrong_input_is_a_clear_value_error(tool: Tool, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        call(tool, arguments)
    assert not isinstance(caught.value, ValidationError)


def test_division_by_zero_is_an_arithmetic_error() -> None:
    with pytest.raises(ZeroDivisionError):
        call(parsing.arithmetic_evaluate, {"expression": "1 / 0"})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../secret.txt", "must stay inside"),
        ("docs/../../secret.txt", "must stay inside"),
        ("/etc/passwd", "must be relative"),
        ("C:\\secret.txt", "must be relative"),
        ("\\secret.txt", "must be relative"),
        ("link.txt", "must stay inside"),
        ("folder/secret.txt", "must stay inside"),
        ("loop", "loop"),
        ("a\0b", "null"),
    ],
)
def test_no_path_leaves_the_sandbox(sandbox: Path, path: str, message: str) -> None:
    (sandbox / "link.txt").symlink_to(sandbox.parent / "secret.txt")
    (sandbox / "folder").symlink_to(sandbox.parent)
    (sandbox / "loop").symlink_to(sandbox / "loop")
    attempts: list[tuple[Tool, dict[str, Any]]] = [
        (files.file_read, {"path": path}),
        (files.file_write, {"path": path, "text": "x", "overwrite": True}),
        (files.file_append, {"path": path, "text": "x"}),
        (files.file_delete, {"path": path}),
        (files.file_list, {"folder": path}),
        (files.file_info, {"path": path}),
        (files.file_copy, {"path": path, "target_path": "copy"}),
        (files.file_copy, {"path": "notes.txt", "target_path": path}),
        (files.file_move, {"path": path, "target_path": "moved"}),
        (files.file_move, {"path": "notes.txt", "target_path": path}),
        (files.directory_create, {"folder": path}),
        (files.directory_tree, {"folder": path}),
        (files.file_find, {"pattern": "*", "folder": path}),
        (csv_tools.csv_file_read, {"path": path}),
        (hashing.file_hash, {"path": path}),
        (compression.gzip_file, {"path": path, "target_path": "x.gz"}),
        (compression.gzip_file, {"path": "notes.txt", "target_path": path}),
        (compression.zip_create, {"path": "x.zip", "files": [path]}),
        (compression.zip_extract, {"path": "bundle.zip", "folder": path}),
        (sqlite_tools.sqlite_query, {"path": path, "sql": "SELECT 1"}),
        (sqlite_tools.sqlite_execute, {"path": path, "sql": "CREATE TABLE t (a)"}),
        (sqlite_tools.sqlite_export_csv, {"path": "shop.db", "sql": "SELECT 1", "target_path": path}),
    ]
    for tool, arguments in attempts:
        with pytest.raises(ValueError, match=message) as caught:
            call(tool, arguments)
        assert str(sandbox.parent) not in str(caught.value)
    assert (sandbox.parent / "secret.txt").read_text() == "outside"
    assert sorted(path.name for path in sandbox.parent.iterdir()) == ["box", "secret.txt"]


def test_listing_and_searching_do_not_follow_links(sandbox: Path) -> None:
    (sandbox / "folder").symlink_to(sandbox.parent)
    (sandbox / "link.txt").symlink_to(sandbox.parent / "secret.txt")
    assert call(files.file_search_text, {"text": "outside"}) == []
    assert call(files.file_find, {"pattern": "*secret*"}) == []
    kinds = {entry["path"]: entry["kind"] for entry in call(files.file_list, {})}
    assert kinds["folder"] == kinds["link.txt"] == "other"
    assert "secret" not in call(files.directory_tree, {})


def test_sandbox_need_not_exist_and_is_created_on_first_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKBENCH_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert call(files.file_list, {}) == []
    assert call(files.disk_usage, {})["files"] == 0
    assert not (tmp_path / "workbench-files").exists()
    call(files.file_write, {"path": "a/b.txt", "text": "x"})
    assert (tmp_path / "workbench-files" / "a" / "b.txt").read_text() == "x"


def test_files_larger_than_the_limit_are_refused(sandbox: Path) -> None:
    (sandbox / "big.txt").write_bytes(b"x" * 1_000_001)
    with pytest.raises(ValueError, match="at most 1,000,000 bytes"):
        call(files.file_read, {"path": "big.txt"})
    (sandbox / "full.txt").write_bytes(b"x" * 999_999)
    with pytest.raises(ValueError, match="must stay within"):
        call(files.file_append, {"path": "full.txt", "text": "é"})
    with pytest.raises(ValueError, match="must be at most"):
        call(files.file_write, {"path": "new.txt", "text": "é" * 600_000})


@pytest.mark.parametrize("algorithm", ["gzip", "zlib", "bz2", "lzma"])
def test_every_compression_can_be_undone_and_no_bomb_goes_off(algorithm: str) -> None:
    packed = call(compression.compress_text, {"text": "grüß " * 9, "algorithm": algorithm, "level": 9})
    assert call(compression.decompress_text, {"data": packed["data"], "algorithm": algorithm}) == "grüß " * 9
    bomb = compression._compress(bytes(200_000_000), typing.cast("compression.Algorithm", algorithm), 9)
    with pytest.raises(ValueError, match="at most 1,000,000 bytes"):
        call(compression.decompress_text, {"data": base64.b64encode(bomb).decode(), "algorithm": algorithm})


def test_zip_bomb_is_refused_whatever_its_header_says(sandbox: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.txt", bytes(50_000_000))
    (sandbox / "bomb.zip").write_bytes(packed.getvalue())
    lie = packed.getvalue().replace((50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (sandbox / "lie.zip").write_bytes(lie)
    for tool, arguments in [
        (compression.zip_read_text, {"path": "bomb.zip", "member": "bomb.txt"}),
        (compression.zip_extract, {"path": "bomb.zip", "folder": "out"}),
        (compression.zip_extract, {"path": "lie.zip", "folder": "out"}),
    ]:
        with pytest.raises(ValueError, match=r"at most|readable zip"):
            call(tool, arguments)
    assert not (sandbox / "out").exists()
    (sandbox / "bomb.gz").write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(ValueError, match="at most 10,000,000 bytes"):
        call(compression.gunzip_file, {"path": "bomb.gz", "target_path": "out"})


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "../../evil.txt"])
def test_zip_members_stay_inside_the_target_folder(sandbox: Path, name: str) -> None:
    with zipfile.ZipFile(sandbox / "evil.zip", "w") as archive:
        archive.writestr("good.txt", "x")
        archive.writestr(name, "x")
    written: list[dict[str, Any]] = []
    with contextlib.suppress(ValueError):  # either all is refused, or all is written where it belongs
        written = call(compression.zip_extract, {"path": "evil.zip", "folder": "out"})
    assert all(file["path"].startswith("out/") for file in written)
    assert (sandbox / "out").exists() == bool(written)
    assert not list(sandbox.parent.glob("evil*"))
    assert not (sandbox / "evil.txt").exists()


@pytest.mark.parametrize("encoded", ["utf-8", "utf-16"])
def test_xml_entities_cannot_expand(encoded: str) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<?xml version="1.0" encoding="{encoded}"?><!DOCTYPE a [<!ENTITY e0 "x">{entities}]><a>&e9;</a>'
    outside = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'
    for document in (bomb, outside, "<!DOCTYPE a><a/>"):
        with pytest.raises(ValueError, match="DOCTYPE"):
            call(xml_html.xml_parse, {"text": document})


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO book (title) VALUES ('x')",
        "DELETE FROM book",
        "DROP TABLE book",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = WAL",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "BEGIN",
        "WITH x AS (SELECT 1) UPDATE book SET copies = 0",
    ],
)
def test_query_tools_cannot_write(sandbox: Path, sql: str) -> None:
    before = (sandbox / "shop.db").read_bytes()
    for tool, more in (
        (sqlite_tools.sqlite_query, {}),
        (sqlite_tools.sqlite_explain, {}),
        (sqlite_tools.sqlite_export_csv, {"target_path": "out.csv"}),
    ):
        if tool is sqlite_tools.sqlite_explain and sql.startswith(("VACUUM", "SELECT")):
            continue  # SQLite explains these, which runs nothing
        with pytest.raises(ValueError, match="only reads"):
            call(tool, {"path": "shop.db", "sql": sql, **more})
    assert (sandbox / "shop.db").read_bytes() == before
    assert not (sandbox / "out.csv").exists()


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '../secret.db' AS other",
        "ATTACH ? AS other",
        "VACUUM INTO '../copy.db'",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = WAL",
        "CREATE VIRTUAL TABLE v USING fts5(a)",
    ],
)
def test_execute_reaches_no_other_file_and_no_setting(sandbox: Path, sql: str) -> None:
    with pytest.raises(ValueError, match="SQLite accepts"):
        call(
            sqlite_tools.sqlite_execute,
            {"path": "shop.db", "sql": sql, "parameters": ["../x.db"] * sql.count("?")},
        )
    assert sorted(path.name for path in sandbox.parent.iterdir()) == ["box", "secret.txt"]


def test_sql_is_stopped_when_it_takes_too_long_or_gives_too_much(sandbox: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(ValueError, match="must finish within 2 s"):
        call(sqlite_tools.sqlite_query, {"path": "shop.db", "sql": endless})
    for sql in ("SELECT hex(zeroblob(400000)) FROM book", "SELECT zeroblob(9000000)"):
        with pytest.raises(ValueError, match=r"at most 1,000,000|too big|too large"):
            call(sqlite_tools.sqlite_query, {"path": "shop.db", "sql": sql})
    call(sqlite_tools.sqlite_execute, {"path": "big.db", "sql": "CREATE TABLE t (a)"})
    with pytest.raises(ValueError, match=r"full|must finish"):
        call(
            sqlite_tools.sqlite_execute,
            {
                "path": "big.db",
                "sql": "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                " SELECT zeroblob(900000) FROM n",
            },
        )
    assert (sandbox / "big.db").stat().st_size < 25_000_000


def test_imported_csv_can_be_queried_with_numbers_as_numbers(sandbox: Path) -> None:
    call(sqlite_tools.sqlite_import_csv, {"path": "p.db", "table": "people", "text": PEOPLE})
    found = call(
        sqlite_tools.sqlite_query, {"path": "p.db", "sql": "SELECT name, age + 1 FROM people ORDER BY age"}
    )
    assert found["rows"] == [["Ada", 37], ["Grace", 46]]
    assert (sandbox / "p.db").exists()


def test_table_has_a_case_for_every_tool() -> None:
    assert {tool.__name__ for tool, _, _ in CASES} == {tool.__name__ for tool in TOOLS}
    assert len({tool.__name__ for tool in TOOLS}) == len(TOOLS) >= 170


@pytest.mark.parametrize("tool", TOOLS, ids=name_of)
def test_tool_is_described_for_a_model(tool: Tool) -> None:
    documented = docstring_parser.parse_from_object(tool)
    hints = typing.get_type_hints(tool, include_extras=True)
    assert re.fullmatch("[a-z][a-z0-9_]{2,39}", tool.__name__)
    assert documented.short_description
    assert documented.short_description.endswith(".")
    assert [parameter.arg_name for parameter in documented.params] == list(inspect.signature(tool).parameters)
    assert all(parameter.description and len(parameter.description) > 5 for parameter in documented.params)
    assert set(hints) == {*inspect.signature(tool).parameters, "return"}
    for hint in hints.values():
        TypeAdapter(hint).json_schema()


NASTY = st.sampled_from(
    [
        *[
            "",
            " ",
            "\n",
            "\0",
            "a",
            "0",
            "-1",
            "é",
            "😀",
            '"',
            "'",
            "\\",
            "%",
            "%zz",
            "[",
            "]",
            "{",
            "}",
            "..",
            "/",
            "//",
        ],
        *[
            "<",
            "<!",
            "<![",
            "</",
            "&#x110000;",
            "<a b='c'>d</a>",
            "http://[",
            "a=b",
            "\\ud800",
            "\\N{",
            "1e999",
            "nan",
        ],
        *[
            "0x",
            "::",
            "10.0.0.0/0",
            "::/0",
            "=?utf-8?b?/?=",
            "=?x?q?=ff?=",
            "Date: x",
            "a,b\n1,2\n",
            '{"a":[1]}',
        ],
        *["people.csv", "shop.db", "docs", "SELECT 1", "* * * * *", "1.0.0", "9" * 400],
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NASTY
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=5,
)


def strings_for(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 1_000)
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=st.none() | st.timezones()).map(lambda moment: moment.isoformat())
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).map(lambda found: found[:high])
    texts = st.text(max_size=min(high, 30)) | st.lists(NASTY, max_size=4).map("".join)
    return texts.map(lambda found: (found + "x" * low)[:high])


def numbers_for(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema["type"] == "integer":
        return st.integers(-(2**70) if low is None else low, 2**70 if high is None else high)
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def values_for(schema: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Generate values that fit a JSON Schema as pydantic writes it."""
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if "anyOf" in schema:
        return st.one_of([values_for(option, defs) for option in schema["anyOf"]])
    if schema.get("type") == "array":
        size = {"min_size": schema.get("minItems", 0), "max_size": min(schema.get("maxItems", 4), 4)}
        return st.lists(values_for(schema["items"], defs), **size)
    if schema.get("type") == "object":
        [(pattern, value)] = schema.get(
            "patternProperties", {None: schema.get("additionalProperties")}
        ).items()
        names = {"pattern": pattern} if pattern else schema.get("propertyNames", {})
        return st.dictionaries(strings_for(names), values_for(value, defs), max_size=4)
    simple = {"string": strings_for, "integer": numbers_for, "number": numbers_for}
    if schema.get("type") in simple:
        return simple[schema["type"]](schema)
    return {"boolean": st.booleans(), "null": st.none()}.get(schema.get("type", ""), ANY_JSON)


def varied(known: list[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly give a value that works, sometimes with something nasty inside, sometimes anything."""
    whole = st.sampled_from(known)
    broken = st.builds(
        lambda value, at, nasty: value[:at] + nasty + value[at:] if isinstance(value, str) else value,
        whole,
        st.integers(0, 20),
        NASTY,
    )
    return st.sampled_from([whole, whole, broken, other]).flatmap(lambda strategy: strategy)


def arguments_for(tool: Tool) -> st.SearchStrategy[dict[str, Any]]:
    """Generate arguments that a tool's schema allows, mixed with those of its own cases."""
    checked: Any = validate_call(tool)
    schema = TypeAdapter(checked).json_schema()
    defs = schema.get("$defs", {})
    known: dict[str, list[Any]] = {}
    for case, arguments, _ in CASES:
        if case is tool:
            for name, value in arguments.items():
                known.setdefault(name, []).append(value)
    strategies = {
        name: varied(known[name], values_for(part, defs)) if name in known else values_for(part, defs)
        for name, part in schema.get("properties", {}).items()
    }
    required = {name: strategies.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=strategies)


@pytest.mark.parametrize("tool", TOOLS, ids=name_of)
def test_nothing_but_the_errors_a_model_may_see_escapes(tool: Tool, sandbox: Path) -> None:
    slow = tool.__module__.endswith(("regex", "sqlite_tools")) or tool is hashing.pbkdf2_derive

    @settings(
        max_examples=5 if slow else 25, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(arguments_for(tool))
    def probe(arguments: dict[str, Any]) -> None:
        shown = ""
        try:
            call(tool, arguments)
        except ValidationError:
            reject()
        except (ValueError, ArithmeticError, LookupError) as error:
            shown = str(error)
        assert str(sandbox.parent) not in shown

    probe()
