"""What fills the slots of a wording: names, paths, numbers, texts.

One name in eight (by its checksum) and one longer number in eight is held out: the training split never sees them,
the test split sees nothing else. Most names are made up, because a model that is to copy must not get by with knowing.
"""
import string
import zlib

ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl fr gl gr pl pr sh sl sp st th tr qu x y".split()
VOWELS = "a e i o u a e i o u ai ea ee oa oo ou".split()
CODAS = " n r s t l m d k p x ng nd st rt ck".split(" ")
WORDS = (
    "report notes data main test config backup readme todo project photo music video image draft final old new index server client "
    "model train result output input log error debug build release source docs src bin lib include script tool demo sample alpha beta "
    "apple banana cherry lemon orange tomato potato coffee water bread butter sugar salt pepper green blue red yellow black white "
    "dog cat bird fish horse tiger lion zebra mouse tree river mountain ocean forest garden flower house school city street bridge "
    "hello world good morning night day week month year time meeting budget invoice plan list letter story book page chapter "
    "python rust linux kernel docker sandbox token memory disk network secret password user admin guest team work tests assets "
    "buy milk call mom remember to the plants we are happy this is a my first second third file line text some more less and of "
    "sun moon star light dark fast slow big small little long short hot cold summer winter spring autumn monday friday sunday "
    "table chair window door key phone laptop screen keyboard paper pen box bag shoe hat game song dance run walk jump paris berlin "
    "manual package module cache temp archive history public private static media fonts icons styles pages posts users orders items "
    "sales finance travel recipes homework lecture slides thesis letters contacts calendar events tasks journal diary album trip "
    "server web api core util common shared vendor scripts examples samples figures tables results logs records reports summary "
    "tomorrow today later never always please thank you see it works done ready open close start stop great nice fine very much"
).split()
SMALL = set("to the we are is this a my first second third some more less and of very much you it more stop start open close see less please thank "
            "never always in".split())
BOUNDARY = {"file", "line", "text"}  # beside these nobody could say where a text ends
PLAIN = [word for word in WORDS if word not in SMALL | BOUNDARY]  # what a name is made of, and a text without quotes
KNOWN_FILES = "Makefile README LICENSE Dockerfile Makefile".split()  # files, though their names have no ending
EXTENSIONS = "txt txt txt md log csv json py sh c cpp h conf yaml html xml ini bak js toml pdf png".split()
SYSTEM_DIRECTORIES = ("/etc /var/log /home /tmp /usr/bin /usr/lib /opt /srv /root /usr/share /var /usr /workspace /bin /etc/ssh "
                      "/mnt /home/user /usr/local /var/tmp / /dev /proc /sbin /usr/sbin /lib /media").split()
SYSTEM_FILES = "/etc/hosts /etc/hostname /etc/passwd /etc/os-release README.md main.py notes.txt /etc/fstab /etc/group".split() + KNOWN_FILES
ROOTS = "home var srv opt tmp data workspace usr mnt".split()


LONGEST = 12


def held_out(text, one_in=8):
    return zlib.crc32(text.encode()) % one_in == 0


def invented(rng):
    """A word nobody knows, of at most LONGEST letters: syllables mostly, sometimes plain letters."""
    if rng.random() < 0.25:
        return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 7)))
    syllable = lambda: rng.choice(ONSETS) + rng.choice(VOWELS) + (rng.choice(CODAS) if rng.random() < 0.5 else "")
    return "".join(syllable() for _ in range(rng.randint(1, 3)))[:LONGEST]


def base(path):
    return path.rstrip("/").rsplit("/", 1)[-1]


class Names:
    """Draws of one split. `train` avoids what is held out, every other split draws only that."""

    def __init__(self, rng, split):
        self.rng, self.training = rng, split == "train"

    def chance(self, share):
        return self.rng.random() < share

    def pick(self, choices):
        return self.rng.choice(choices)

    def allowed(self, make):
        for _ in range(300):
            text = make()
            if held_out(text) != self.training:
                break
        return text

    def word(self, known=WORDS):
        return self.allowed(lambda: invented(self.rng) if self.chance(0.5) else self.pick(known))

    def _stem(self):
        text, kind = (invented(self.rng) if self.chance(0.55) else self.pick(PLAIN)), self.rng.random()
        if kind < 0.12:
            return text + self.pick("_-") + (self.pick(PLAIN) if self.chance(0.5) else invented(self.rng))
        if kind < 0.24:
            return text + str(self.rng.randint(0, 2030))
        if kind < 0.30:
            return text.capitalize()
        return text.upper() if kind < 0.33 and len(text) <= 8 else text

    def stem(self):
        return self.allowed(self._stem)

    def extension(self):
        return self.pick(EXTENSIONS)

    def file_name(self):
        kind = self.rng.random()
        return self.stem() + "." + self.extension() if kind < 0.93 else self.stem() if kind < 0.97 else self.pick(KNOWN_FILES)

    def directory(self):
        kind = self.rng.random()
        if kind < 0.15:
            return self.pick(SYSTEM_DIRECTORIES)
        if kind < 0.48:
            return self.stem()
        if kind < 0.75:
            root = self.pick(ROOTS) if self.chance(0.6) else self.stem()
            first = self.stem()
            return "/".join(["", root, first] + ([first if self.chance(0.1) else self.stem()] if self.chance(0.5) else []))
        if kind < 0.82:
            return "./" + self.stem()
        return "~/" + self.stem() if kind < 0.88 else self.stem() + "/" + self.stem()

    def file_path(self):
        kind = self.rng.random()
        if kind < 0.6:
            return self.file_name()
        if kind > 0.92:
            return self.pick(SYSTEM_FILES)
        above = self.directory().rstrip("/")
        same = base(above) + "." + self.extension() if self.chance(0.08) and above else ""  # as in project/project.py
        return above + "/" + (same or self.file_name())

    def absolute(self):
        """As `pwd` prints one."""
        return "/" + "/".join(self.stem() for _ in range(self.rng.randint(1, 3)))

    def number(self, digits=6):
        """Between one and `digits` digits, every length as likely. Short numbers cannot be held out: there are too few."""
        count = self.rng.randint(1, digits)
        draw = lambda: str(self.rng.randint(10 ** (count - 1) if count > 1 else 0, 10**count - 1))
        return int(self.allowed(draw) if count > 2 else draw())

    def size(self, units="KMGT"):
        number = str(self.number(3)) if self.chance(0.6) else f"{self.number(1)}.{self.number(1)}"
        return number + self.pick(units)

    def text(self, least=1, most=6):
        words = [self.word() if self.chance(0.87) else str(self.number(4)) for _ in range(self.rng.randint(least, most))]
        return " ".join(words).capitalize() if self.chance(0.3) else " ".join(words)

    def several(self, make, least=1, most=4):
        return [make() for _ in range(self.rng.randint(least, most))]
