# SPDX-License-Identifier: Apache-2.0
"""A directory with the files of Debian's essential packages and of those that are named, and what
these depend on, copied from this machine; dpkg knows of them alone."""
import os
import pathlib
import re
import shutil
import stat
import subprocess

DPKG = pathlib.Path("/var/lib/dpkg")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
FIELDS = ("Package", "Essential", "Status", "Pre-Depends", "Depends", "Provides")


def stanzas():
    """Of the packages that are installed here, by name: their text and fields."""
    packages = {}
    for text in (DPKG / "status").read_text().split("\n\n"):
        fields = dict(re.findall(rf"^({'|'.join(FIELDS)}): (.*)$", text, re.M))
        if fields.get("Status") == "install ok installed":
            packages.setdefault(fields["Package"], (text.strip(), fields))
    return packages


def names(relation):
    """[["a"], ["b", "c"]] of "a (>= 1), b | c"."""
    return [[re.sub(r"[ (:].*", "", choice.strip()) for choice in group.split("|")]
            for group in relation.split(",") if group.strip()]


def closure(packages, wanted):
    provides = {}
    for name, (_, fields) in packages.items():
        for (virtual,) in names(fields.get("Provides", "")):
            provides.setdefault(virtual, name)
    found, queue = set(), [[name] for name in wanted]
    queue += [[name] for name, (_, fields) in packages.items() if fields.get("Essential") == "yes"]
    while queue:
        choices = [provides.get(name, name) if name not in packages else name
                   for name in queue.pop()]
        name = next((name for name in choices if name in packages), None)
        if name is None:
            raise AssertionError(f"none of {choices} is installed here")
        if name in found:
            continue
        found.add(name)
        for field in ("Pre-Depends", "Depends"):
            queue += names(packages[name][1].get(field, ""))
    return found


class BareSystem:
    """At `root`, an empty directory."""

    def __init__(self, root, depends):
        self.root = pathlib.Path(root)
        packages = stanzas()
        self.packages = closure(packages, [name for group in names(depends) for name in group[:1]])
        for name in ("bin", "sbin", "lib", "lib64"):
            if pathlib.Path("/" + name).is_symlink():
                (self.root / "usr" / name).mkdir(parents=True)
                (self.root / name).symlink_to(f"usr/{name}")
        info = self.root / "var/lib/dpkg/info"
        for place in (info, info.parent / "updates", info.parent / "triggers", self.root / "etc",
                      self.root / "dev", self.root / "proc", self.root / "tmp"):
            place.mkdir(parents=True, exist_ok=True)
        for name in self.packages:
            self.copy(name, info)
        (info.parent / "status").write_text(
            "".join(packages[name][0] + "\n\n" for name in sorted(self.packages)))
        for name in ("passwd", "group"):
            shutil.copy(f"/usr/share/base-passwd/{name}.master", self.root / "etc" / name)
        if not (self.root / "bin/sh").exists():
            (self.root / "bin/sh").symlink_to("dash")
        for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
            device = self.root / "dev" / name
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            device.chmod(0o666)

    def copy(self, name, info):
        for listed in DPKG.glob(f"info/{name}.list"), DPKG.glob(f"info/{name}:*.list"):
            for file in listed:
                shutil.copy(file, info / file.name)
                self.copy_files(file.read_text().splitlines())

    def copy_files(self, paths):
        for path in paths:
            source, target = pathlib.Path(path), self.root / path.lstrip("/")
            if source.is_symlink():
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.is_symlink() and not target.exists():
                    target.symlink_to(os.readlink(source))
            elif source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif source.is_file() and not path.startswith(("/usr/share/doc", "/usr/share/locale")):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def within(self, command, user=None):
        """With a /proc that goes with the command: where a program looks for its libraries it asks."""
        return ["unshare", "--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec "$@"',
                str(self.root), "chroot", *([f"--userspec={user}"] if user else []), str(self.root),
                *command]

    def run(self, *command):
        """In it, to its end."""
        return subprocess.run(self.within(command), capture_output=True, text=True, check=False,
                              env=ENVIRONMENT)

    def start(self, *command, user, **options):
        return subprocess.Popen(self.within(command, user), env=ENVIRONMENT, **options)

    def dpkg(self, *arguments):
        """As where no network is."""
        return subprocess.run(["unshare", "--net", "dpkg", f"--root={self.root}", *arguments],
                              capture_output=True, text=True, check=False,
                              env={**ENVIRONMENT, "DEBIAN_FRONTEND": "noninteractive"})
