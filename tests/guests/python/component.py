"""The conformance component: every function of the contract, in Python.

../README.md says what it does; the other languages do exactly the same.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import inputs, machine, report, steps


class About(exports.About):
    def describe(self) -> str:
        return json.dumps(
            {
                "summary": "Does everything that a component can do",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "greeting": {"type": "string", "default": "hello"},
                        "packages": {"type": "array", "items": {"type": "string"}},
                        "count": {"type": "integer", "default": 3},
                        "slice": {"type": "integer", "default": 8},
                        "ratio": {"type": "number", "default": 0.5},
                        "loud": {"type": "boolean", "default": False},
                        "settings": {
                            "type": "object",
                            "additionalProperties": {"type": "string"},
                        },
                        "token": {"type": "string", "secret": True},
                        "fail": {"type": "string", "default": ""},
                    },
                },
                "volatile": True,
                "internet": True,
            }
        )


class Builder(exports.Builder):
    def build(self) -> None:
        greeting = inputs.text("greeting")
        report.info(
            f"{machine.distribution()} {machine.release()} on {machine.architecture()}, "
            f"root {machine.root()}"
        )
        report.debug(inputs.json_object())
        if machine.family() == "windows":
            windows(greeting)
            return

        look = steps.shell("look around", "cat /etc/os-release")
        page = steps.write("write the page", "/srv/page.html", f"{greeting}\n")
        steps.mode(page, 0o640)
        steps.owner(page, "www-data:www-data")
        steps.attempts(page, 2)
        tool = "apt-get" if "ID=debian" in steps.output(look) else "dnf"
        fail(inputs.text("fail"), look)

        install = steps.shell("install", f'{tool} install -y -- "$@"')
        for name in inputs.texts("packages"):
            steps.argument(install, name)
        steps.environment(install, "DEBIAN_FRONTEND", "noninteractive")
        steps.run_as(install, "builder")
        steps.directory(install, "/opt")
        steps.timeout(install, 900)
        steps.attempts(install, 3)
        steps.expect_exit_codes(install, [0, 100])
        steps.expect_output(install, "done")
        steps.expect_no_output(install, "E:")
        steps.expect_match(install, "(?i)set up [0-9]+ packages?")
        token = inputs.text("token")
        if token is not None:
            steps.environment(install, "TOKEN", token)
            file = steps.write("write the token", "/etc/app/token", f"token={token}\n")
            steps.mode(file, 0o600)
        steps.write_bytes("write bytes", "/srv/bytes", bytes(range(256)))
        steps.write_asset("write the asset", "/srv/note.txt", "note.txt")
        archive = steps.download(
            "fetch the archive",
            "/srv/archive",
            "https://mirror.example/archive.tar.gz",
            "0123456789abcdef" * 4,
        )
        steps.timeout(archive, 60)

        may = steps.shell("may fail", "exit 3")
        steps.tolerate(may)
        if not steps.succeeded(may):
            report.warning(f"it failed with {steps.exit_code(may)}")
        restart = steps.reboot("restart")
        steps.timeout(restart, 300)

        log = steps.collect("keep the log", "/var/log/app.log", 4 << 20)
        total = 0
        added = 0
        while total < steps.size(log):
            part = steps.read(log, total, inputs.integer("slice"))
            total += len(part)
            added += sum(part)

        items = []
        for item in range(1, inputs.integer("count") + 1):
            asked = steps.shell(f"item {item}", f"echo {item}")
            items.append(steps.output(asked))
        settings = inputs.json_text("settings")
        if settings is not None:
            steps.write("write the settings", "/etc/app/settings.json", settings)
        if inputs.flag("loud"):
            shout = steps.shell("shout", 'echo "$GREETING! $PERCENT%"')
            steps.environment(shout, "GREETING", greeting)
            steps.environment(shout, "PERCENT", f"{inputs.number('ratio') * 100:.0f}")
        report.publish_text("tool", tool)
        report.publish("bytes", json.dumps(total))
        report.publish("sum", json.dumps(added))
        report.publish("items", f"[{','.join(items)}]")


def windows(greeting: str) -> None:
    steps.write("write for Windows", "C:\\srv\\page.html", f"{greeting}\r\n")
    shell = steps.powershell("ask PowerShell", "Write-Output $args[0]")
    steps.argument(shell, greeting)
    steps.directory(shell, "C:\\srv")
    cmd = steps.cmd("ask cmd", "echo off\r\nset GREETING\r\n")
    steps.environment(cmd, "GREETING", greeting)
    if steps.output(shell) != greeting:
        raise Err("PowerShell says something else")
    steps.reboot("restart")


def fail(how: str, look: int) -> None:
    """Ends in the way that the argument `fail` names."""
    if how == "error":
        raise Err('told to fail: "quoted"\nand a second line, é')
    if how == "crash":
        nothing = {}
        steps.timeout(look, nothing["seconds"])
    if how == "late":
        steps.timeout(look, 60)
    if how == "type":
        inputs.text("count")
    if how == "undeclared":
        inputs.text("nothing")
    if how == "negative":
        steps.output(0xFFFFFFFF)
    if how == "endless":
        while True:
            pass
    if how == "greedy":
        kept = []
        while True:
            kept.append(bytearray(1 << 20))


class Tester(exports.Tester):
    def test(self) -> None:
        page = steps.shell("the page greets", "cat /srv/page.html")
        steps.expect_output(page, inputs.text("greeting"))
        swap = steps.shell("look for a swap file", "test -e /swapfile")
        steps.tolerate(swap)
        if steps.exit_code(swap) == 0:
            report.failed("no swap file", "there is /swapfile")
        else:
            report.passed("no swap file")
        report.skipped("mail", "no mail server was asked for")


class Repairer(exports.Repairer):
    def repair(self) -> None:
        root = machine.root()
        look = steps.shell("look at fstab", 'grep -q no-such-disk "$ROOT/etc/fstab"')
        steps.environment(look, "ROOT", root)
        steps.tolerate(look)
        code = steps.exit_code(look)
        if code == 0:
            mend = steps.shell("mend fstab", 'sed -i /no-such-disk/d "$ROOT/etc/fstab"')
            steps.environment(mend, "ROOT", root)
            report.repaired("GUESTOS.Fstab", "a disk that isn't there was taken out")
        elif code == 1:
            report.intact("GUESTOS.Fstab")
        else:
            message = f"it can't be read: exit code {code}"
            report.unrepaired("GUESTOS.Fstab", "high", message)
