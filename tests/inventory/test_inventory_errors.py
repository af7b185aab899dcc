"""Every mistake in an inventory is one clear line: file:line, what, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import InventoryError
from provision.inventory.load import load
from provision.inventory.problems import LINES, InventoryErrors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import BaseModel

    from provision.inventory.schema import Inventory

    Load = Callable[[str], Inventory]

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))
YAML = {
    "empty": ("", "lab.yaml: the inventory is empty. Start with `hosts: {gpu01: }`."),
    "comment": ("# soon\n", "lab.yaml: the inventory is empty. Start with `hosts: {gpu01: }`."),
    "list": ("- a\n", "lab.yaml:1: an inventory must be a mapping. Start with `hosts: {gpu01: }`."),
    "tab": (
        "hosts:\n\tgpu01:\n",
        "lab.yaml:2: a tab indents this line. Indent with spaces: YAML forbids tabs.",
    ),
    "tab after spaces": (
        "hosts:\n  gpu01:\n\tgpu02:\n",
        "lab.yaml:3: a tab indents this line. Indent with spaces: YAML forbids tabs.",
    ),
    "colon": (
        "hosts:\n  gpu01: a: b\n",
        (
            "lab.yaml:2: not YAML: mapping values are not allowed in this context. "
            "Quote a value that contains ': ', and check the indentation."
        ),
    ),
    "quote": (
        "hosts:\n  gpu01: 'x\n",
        (
            "lab.yaml:3: not YAML: found unexpected end of stream "
            "(while scanning a quoted scalar on line 2). Close the quote or bracket."
        ),
    ),
    "two documents": (
        "hosts: {a: }\n---\nhosts: {b: }\n",
        (
            "lab.yaml:2: not YAML: but found another document "
            "(expected a single document in the stream on line 1). "
            "Keep one document: remove the line `---` in the middle."
        ),
    ),
    "undefined alias": (
        "hosts: *x\n",
        "lab.yaml:1: not YAML: found undefined alias. Define it above, as in `&name`.",
    ),
    "control character": (
        "hosts:\n  a: \x07\n",
        "lab.yaml:2: a control character U+0007. Remove it.",
    ),
    "deep": (
        "x: " + "[" * 100_000,
        "lab.yaml:1: not YAML: nested too deeply. Write it flatter.",
    ),
    "bomb": (BOMB, "lab.yaml:6: its aliases make more than 500000 values. Use fewer."),
    "chain": (CHAIN, "lab.yaml:50: its aliases nest too deeply. Write it flatter."),
    "recursive alias": (
        "hosts: &x\n  a: *x\n",
        "lab.yaml:2: hosts.a: an alias holds itself. Write the value out.",
    ),
    "duplicate key": (
        "hosts:\n  a:\n  b:\n  a:\n",
        "lab.yaml:4: hosts: the key 'a' is set twice, first on line 2. Keep one of them.",
    ),
    "number as key": (
        "hosts:\n  7:\n",
        'lab.yaml:2: hosts: the key 7 is the number 7, not a string. Quote it: "7".',
    ),
    "boolean as key": (
        "hosts:\n  on:\n",
        'lab.yaml:2: hosts: the key on is the boolean true, not a string. Quote it: "on".',
    ),
    "list as key": (
        "hosts:\n  [a]: 1\n",
        "lab.yaml:2: hosts: a key must be a string. Write a plain name.",
    ),
    "unknown tag": (
        "hosts:\n  a: !vault x\n",
        (
            "lab.yaml:2: hosts.a: unknown tag !vault. Remove the tag; quote a text that starts with "
            "'!'; write a secret as env:NAME, file:PATH or cmd:COMMAND."
        ),
    ),
    "octal": (
        "vars:\n  ssh:\n    port: 010\nhosts: {a: }\n",
        (
            "lab.yaml:3: vars.ssh.port: YAML reads the bare 010 as the number 8. "
            'Quote it: "010", or write 8.'
        ),
    ),
    "sexagesimal": (
        "vars:\n  docker: {pools: [22:22]}\nhosts: {a: }\n",
        (
            "lab.yaml:2: vars.docker.pools[0]: YAML reads the bare 22:22 as the number 1342. "
            'Quote it: "22:22", or write 1342.'
        ),
    ),
    "infinity": (
        "vars: {gpus: .inf}\nhosts: {a: }\n",
        'lab.yaml:1: vars.gpus: .inf is no finite number. Write one, or quote it: ".inf".',
    ),
    "merge key": (
        "vars:\n  <<: 3\nhosts: {a: }\n",
        (
            "lab.yaml:2: vars: the merge key << takes a mapping or a list of mappings. "
            "Give it an alias: <<: *name."
        ),
    ),
}
SHAPE = {
    "no hosts": (
        "vars: {gpus: 1}\n",
        "lab.yaml:1: hosts: there are none. Write `hosts: {gpu01: }`.",
    ),
    "top": (
        "host: {}\nhosts: {a: }\n",
        "lab.yaml:1: host: unknown key. Did you mean 'hosts'?",
    ),
    "vars": (
        "vars:\n  dokcer: {}\nhosts: {a: }\n",
        "lab.yaml:2: vars.dokcer: unknown key. Did you mean 'docker'?",
    ),
    "group": (
        "groups:\n  g:\n    role: [base]\nhosts: {a: }\n",
        "lab.yaml:3: groups.g.role: unknown key. Did you mean 'roles'?",
    ),
    "group vars": (
        "groups:\n  g:\n    vars: {gpu: 1}\nhosts: {a: }\n",
        "lab.yaml:3: groups.g.vars.gpu: unknown key. Did you mean 'gpus'?",
    ),
    "host": (
        "hosts:\n  a:\n    proxy: x\n",
        "lab.yaml:3: hosts.a.proxy: unknown key. Did you mean 'proxies'?",
    ),
    "hosts is a list": (
        "hosts: [a, b]\n",
        "lab.yaml:1: hosts: expected a mapping, got a list. Write `key: value` lines below it.",
    ),
    "block is a string": (
        "hosts: {a: {ssh: root}}\n",
        (
            "lab.yaml:1: hosts.a.ssh: expected a mapping, got 'root'. "
            "Write `key: value` lines below it."
        ),
    ),
    "members are a string": (
        "groups: {g: {hosts: a}}\nhosts: {a: }\n",
        "lab.yaml:1: groups.g.hosts: expected a list, got 'a'. Write hosts: [a].",
    ),
    "member is a number": (
        "groups: {g: {hosts: [7]}}\nhosts: {a: }\n",
        'lab.yaml:1: groups.g.hosts: expected a string, got the number 7. Quote it: "7".',
    ),
    "unknown role": (
        "hosts:\n  a:\n    roles:\n    - base\n    - dokcer\n",
        "lab.yaml:5: hosts.a.roles: unknown role 'dokcer'. Did you mean 'docker'?",
    ),
    "unknown member": (
        "groups:\n  g:\n    hosts:\n    - gpu02\nhosts: {gpu01: }\n",
        "lab.yaml:4: groups.g.hosts: no host 'gpu02'. Did you mean 'gpu01'?",
    ),
    "unknown members of a range": (
        "groups: {g: {hosts: ['gpu[1:5]']}}\nhosts: {gpu1: , gpu2: }\n",
        "lab.yaml:1: groups.g.hosts: no host 'gpu3' and 2 more of gpu[1:5]. Did you mean 'gpu2'?",
    ),
    "pattern without a match": (
        "groups: {g: {hosts: ['cpu*']}}\nhosts: {a: }\n",
        "lab.yaml:1: groups.g.hosts: no host matches 'cpu*'. Known: a.",
    ),
    "group named as a host": (
        "groups:\n  a: {}\nhosts:\n  a:\n",
        "lab.yaml:2: groups.a: the host of line 4 has this name, too. Rename the group.",
    ),
    "bad host name": (
        "hosts:\n  -a:\n",
        (
            "lab.yaml:2: hosts.-a: '-a' is no host name. "
            "Write letters, digits, dots, dashes and underscores."
        ),
    ),
    "bad group name": (
        "groups:\n  a b: {}\nhosts: {a: }\n",
        (
            "lab.yaml:2: groups.a b: 'a b' is no group name. "
            "Write letters, digits, dots, dashes and underscores."
        ),
    ),
    "host defined twice": (
        "hosts:\n  a[1:3]:\n  a2:\n",
        (
            "lab.yaml:3: hosts.a2: the host a2 is already defined on line 2. "
            "Define each host once; give common settings to a group."
        ),
    ),
    "backward range": (
        "hosts:\n  gpu[9:3]:\n",
        "lab.yaml:2: hosts.gpu[9:3]: the range [9:3] runs backwards. Write [3:9].",
    ),
    "no range": (
        "hosts:\n  gpu[ab]:\n",
        (
            "lab.yaml:2: hosts.gpu[ab]: 'gpu[ab]' has a bracket that is no range. "
            "Write a range as [first:last], as in gpu[01:16]."
        ),
    ),
    "padding": (
        "hosts:\n  gpu[01:100]:\n",
        (
            "lab.yaml:2: hosts.gpu[01:100]: the ends of the range [01:100] are padded differently. "
            "Write [001:100]."
        ),
    ),
    "huge range": (
        "hosts:\n  gpu[1:1000000000000]:\n",
        (
            "lab.yaml:2: hosts.gpu[1:1000000000000]: the range [1:1000000000000] has more than 10000 "
            "values. Write a shorter range, or several."
        ),
    ),
    "unequal ranges": (
        "hosts:\n  gpu[1:3]:\n    ssh: {address: '10.0.0.[1:4]'}\n",
        (
            "lab.yaml:3: hosts.gpu[1:3].ssh.address: the range [1:4] has 4 values for 3 hosts. "
            "Write a range of 3 values: it runs in step with the one in the host's name."
        ),
    ),
    "contradicting groups": (
        (
            "groups:\n  a: {hosts: ['h*'], vars: {gpus: 4}}\n"
            "  b: {hosts: ['h*'], vars: {gpus: 8}}\nhosts: {h1: , h2: , h3: {gpus: 1}}\n"
        ),
        (
            "lab.yaml:3: groups.b.vars.gpus: group b and group a (lab.yaml:2) set it differently "
            "for h1 and 1 more. Set it on the host, or in one of the groups."
        ),
    ),
}
VALUES = {
    "word for an integer": (
        "gpus: eight",
        "vars.gpus: expected an integer, got 'eight'. Write gpus: 8.",
    ),
    "quoted integer": (
        'gpus: "8"',
        "vars.gpus: expected an integer, got '8'. Write gpus: 8, without quotes.",
    ),
    "yes for an integer": (
        "gpus: yes",
        (
            "vars.gpus: expected an integer, got the boolean true: YAML reads the bare word yes as "
            "true. Write gpus: 8."
        ),
    ),
    "negative": ("gpus: -1", "vars.gpus: expected at least 0, got the number -1. Write gpus: 8."),
    "port": (
        "ssh: {port: 70000}",
        "vars.ssh.port: expected at most 65535, got the number 70000. Write port: 22.",
    ),
    "ssh key": ("ssh: {adress: x}", "vars.ssh.adress: unknown key. Did you mean 'address'?"),
    "address": (
        "ssh: {address: -oProxyCommand=x}",
        "vars.ssh.address: expected a host name or an IP address, got '-oProxyCommand=x'",
    ),
    "gateway": (
        "ssh: {gateway: 'a b'}",
        "vars.ssh.gateway: expected a gateway as [user@]host[:port], got 'a b'",
    ),
    "proxies key": ("proxies: {atp: x}", "vars.proxies.atp: unknown key. Did you mean 'apt'?"),
    "proxy": (
        "proxies: {apt: 10.0.0.1}",
        "vars.proxies.apt: expected a URL such as http://10.0.0.1:3128, got '10.0.0.1'",
    ),
    "proxy with a password": (
        "proxies: {apt: 'http://me:hunter2@x'}",
        (
            "vars.proxies.apt: a password stands in the URL, and would stand where everybody can read "
            "it. Let in the hosts by their addresses, or add it in a proxy of your own."
        ),
    ),
    "URL with a token": (
        "proxies: {hub: 'https://ghp_token@x'}",
        (
            "vars.proxies.hub: a password stands in the URL, and would stand where everybody can read "
            "it. Let in the hosts by their addresses, or add it in a proxy of your own."
        ),
    ),
    "proxy with a user": (
        "proxies: {apt: 'ftp://me@x'}",
        "vars.proxies.apt: expected a URL such as http://10.0.0.1:3128, got 'ftp://…@x'",
    ),
    "a name for a list": (
        "proxies: {no_proxy: localhost}",
        "vars.proxies.no_proxy: expected a list, got 'localhost'. Write no_proxy: [localhost].",
    ),
    "an item": (
        "proxies: {no_proxy: [a, 10]}",
        (
            "vars.proxies.no_proxy[1]: expected a string, got the number 10: "
            'YAML reads the bare 10 as a number. Quote it: "10".'
        ),
    ),
    "role key": ("docker: {miror: x}", "vars.docker.miror: unknown key. Did you mean 'mirror'?"),
    "nested role key": (
        "docker: {limits: {sofd: 1}}",
        "vars.docker.limits.sofd: unknown key. Did you mean 'soft'?",
    ),
    "version": (
        "docker: {version: 5.10}",
        (
            "vars.docker.version: expected a string, got the number 5.1: "
            'YAML reads the bare 5.10 as a number. Quote it: "5.10".'
        ),
    ),
    "no for a string": (
        "docker: {labels: {country: no}}",
        (
            "vars.docker.labels.country: expected a string, got the boolean false: "
            'YAML reads the bare word no as false. Quote it: "no".'
        ),
    ),
    "nothing for a string": (
        "docker: {version: }",
        "vars.docker.version: expected a string, got nothing. Write version: 27.0.",
    ),
    "one for a boolean": (
        "docker: {fast: 1}",
        (
            "vars.docker.fast: expected true or false, got the number 1. "
            "Write fast: true, or fast: false."
        ),
    ),
    "literal": (
        "docker: {mode: rotless}",
        "vars.docker.mode: expected 'plain' or 'rootless', got 'rotless'. Did you mean 'rootless'?",
    ),
    "pattern": (
        "docker: {tag: B2}",
        "vars.docker.tag: expected text that matches ^[a-z]+$, got 'B2'. Write tag: a.",
    ),
    "URL": (
        "docker: {mirror: mirrors}",
        (
            "vars.docker.mirror: expected a URL such as http://10.0.0.1:8000, got 'mirrors'. "
            "Write mirror: https://mirrors.example/docker-ce."
        ),
    ),
    "scheme": (
        "docker: {mirror: 'ftp://a'}",
        (
            "vars.docker.mirror: expected a URL that starts with 'http' or 'https', got 'ftp://a'. "
            "Write mirror: https://mirrors.example/docker-ce."
        ),
    ),
    "number": (
        "docker: {ratio: half}",
        "vars.docker.ratio: expected a number, got 'half'. Write ratio: 0.5.",
    ),
    "mapping": (
        "docker: {labels: [a]}",
        "vars.docker.labels: expected a mapping, got a list",
    ),
    "union": (
        "docker: {size: big}",
        "vars.docker.size: expected an integer or 'auto', got 'big'. Write size: auto.",
    ),
    "secret": (
        "docker: {token: hunter2}",
        "vars.docker.token: expected a reference: env:NAME, file:PATH or cmd:COMMAND",
    ),
}


@pytest.mark.parametrize(("text", "line"), (YAML | SHAPE).values(), ids=(YAML | SHAPE).keys())
def test_a_mistake_is_one_line_with_its_place_and_a_remedy(
    inventory: Load, text: str, line: str
) -> None:
    """What is wrong with the file is said in one line that ends with the next step."""
    with pytest.raises(InventoryError) as caught:
        inventory(text)
    assert str(caught.value) == line


@pytest.mark.parametrize(("settings", "line"), VALUES.values(), ids=VALUES.keys())
def test_a_wrong_value_names_what_was_expected_and_what_stands_there(
    inventory: Load, settings: str, line: str
) -> None:
    """A value that does not fit is named by its path, whatever layer and model refused it."""
    with pytest.raises(InventoryError) as caught:
        inventory(f"vars:\n  {settings}\nhosts: {{a: {{roles: [docker]}}}}\n")
    assert str(caught.value) == f"lab.yaml:2: {line}"


def test_a_missing_variable_is_told_once_for_all_hosts(inventory: Load) -> None:
    """A variable that a role needs is asked for once, not once a host."""
    with pytest.raises(InventoryError) as caught:
        inventory("groups: {g: {hosts: ['h*'], roles: [model]}}\nhosts:\n  h[1:9]:\n")
    assert str(caught.value) == (
        "lab.yaml:3: hosts.h1.model.name: missing here and on 8 more. "
        "Set it in vars, in a group or on the host: the role model needs it."
    )


def test_a_role_that_a_host_does_not_have_may_lack_variables(inventory: Load) -> None:
    """Common variables of a role do not force it on every host, yet they are validated."""
    assert inventory("vars: {model: {port: 1}}\nhosts: {a: }\n").hosts["a"].variables == {}
    with pytest.raises(InventoryError, match=r"vars\.model\.port: expected at least 1"):
        inventory("vars: {model: {port: 0}}\nhosts: {a: }\n")


def test_a_group_s_mistake_is_told_once_at_the_group(inventory: Load) -> None:
    """An error stands where its value was written, however many hosts inherit it."""
    with pytest.raises(InventoryError) as caught:
        inventory("groups:\n  g: {hosts: ['h*'], vars: {gpus: x}}\nhosts:\n  h[1:9]:\n")
    assert caught.value.where == "lab.yaml:2"
    assert caught.value.what == "groups.g.vars.gpus: expected an integer, got 'x'"
    assert caught.value.remedy == "Write gpus: 8."


def test_several_problems_are_reported_together_in_the_file_s_order(inventory: Load) -> None:
    """An operator mends several problems in one go, top to bottom, and sees at most a screen."""
    names = "".join(f"  h{n}: {{gpus: x}}\n" for n in range(50))
    with pytest.raises(InventoryErrors) as caught:
        inventory(f"hosts:\n{names}")
    lines = str(caught.value).splitlines()
    assert len(lines) == LINES
    assert lines[0].startswith("lab.yaml:2: hosts.h0.gpus: expected an integer")
    assert lines[-1] == "… and 31 more problems"
    assert len(caught.value.errors) == 50


def test_a_large_fleet_is_not_listed_for_a_typo(inventory: Load) -> None:
    """When nothing is near, only the first known names are shown."""
    with pytest.raises(InventoryError) as caught:
        inventory("groups: {g: {hosts: [zzz]}}\nhosts: {'gpu[01:99]': }\n")
    assert caught.value.remedy.endswith("gpu12 and 87 more.")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"hosts:\n  a: \xff\n", "lab.yaml:2: the byte 0xff is not UTF-8. Save the file as UTF-8."),
        (None, "lab.yaml: no such file. Check the path."),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    roles: dict[str, type[BaseModel]],
    content: bytes | None,
    line: str,
) -> None:
    """A file that is absent or no text is an inventory error like any other."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "lab.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InventoryError) as caught:
        load(path, roles)
    assert str(caught.value) == line


def test_a_folder_in_place_of_a_file_names_the_files_in_it(
    tmp_path: Path, roles: dict[str, type[BaseModel]]
) -> None:
    """A folder is refused with the inventories it holds."""
    (tmp_path / "prod.yaml").touch()
    with pytest.raises(InventoryError, match=r"a folder, not a file\. Name one of .*prod\.yaml"):
        load(tmp_path, roles)
