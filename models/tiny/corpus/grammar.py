"""How a task is asked for: templates, grown by alternatives, prefixes, endings, typos.

A template is `KIND text`; `[a|b|]` in it are alternatives (nested, empty allowed), `@name` is a phrase of PHRASES,
`{X}` a slot. KIND says what may stand around it: Q question, I imperative, W what one can be told or shown, K keywords,
X a whole sentence.

Held out of training, by checksum and not by taste: of each task the tenth of the templates with the lowest checksums
(not of K and X, where one template has all key words of its task), of all prefixes one in twelve, and of the remaining
wordings (all alternatives chosen, slots still open) one in ten.
"""
import functools
import re
import zlib

from .names import KNOWN_FILES, SYSTEM_FILES, base, held_out

PHRASES = {
    "machine": "[this machine|the machine|this computer|the computer|this box|the system|this system|the server|this server|the sandbox|this sandbox]",
    "here": "[| here| on this machine| on this computer| in the sandbox| on this system| in here| on the server]",
    "in": "[in|in|inside|under|within]",
    "of": "[in|in|of|inside]",
    "show": "[show|show|show me|print|display|list|give me|output]",
    "compute": "[calculate|compute|work out|evaluate|figure out|determine|solve]",
    "make": "[create|create|make|write|add]",
    "find": "[find|find|search for|look for|locate]",
    "count": "[count|count|count up|tell me the number of|give me the number of]",
    "dir": "[directory|folder]",
    "have": "[have|have|contain|hold|include]",
    "thefile": "[the file |the file |file |]",
    "afile": "[the file |the file |a file called |a file named |a new file called |a new file |a text file called |file |||]",
    "thetext": "[the text |the text |the words |the line |the sentence |the message |the note |||||||]",
    "theword": "[the word |the word |the text |the string ||]",
    "saying": "[with|with|containing|that contains|that says|that reads|saying|holding|that holds|which says|which contains|with the text"
              "|with the text|with the words|with the content|with the line|with content|with text|with the message|and put in it"
              "|and write in it|and fill it with|with the note]",
    "countits": "[count its words|count the words|count the words in it|count the words of it|tell me how many words it has"
                "|show me how many words it has|tell me the word count|show me its word count|give me the number of words"
                "|show the word count|tell me how many words are in it|count how many words it has]",
    "newest": "[newest|newest|latest|most recent|last modified|last changed|most recently changed]",
}
PREFIXES = {
    "Q": "Hi, |Hello, |Hey, |Quick question: |Please tell me, |Tell me: |So, |Question: |Ok, |Hey there, |Hi there, |Just wondering, "
         "|I was wondering, |One question: |And |Well, |Excuse me, |Sorry, |Now |Say, |By the way, |Good morning, ".split("|"),
    "I": "Please |Please |Please |Can you |Can you |Could you |Could you please |Can you please |I want you to |I need you to |Would you "
         "|Now |Hi, please |Hey, can you |I'd like you to |Use bash to |Use the bash tool to |Go ahead and |Let's |Will you |Kindly "
         "|Run a command to |Would you please |Would you mind helping me to |I would like to |I want to |I need to |Help me |Help me to "
         "|Hello, could you |Ok, |Use the shell to |In the sandbox, |Could you quickly |Hey, |Just |Try to |Your task: |You should "
         "|Then |Next, |Pls |plz ".split("|"),
    "W": "Tell me |Tell me |Show me |Show me |Please tell me |Please show me |Can you tell me |Could you tell me |Can you show me "
         "|I want to know |I need to know |I would like to know |Check |Find out |Please check |Can you check |Give me |Show |Print |Get "
         "|Let me know |Do you know |Could you find out |Report |Look up |Display |I wonder |I'd like to know |I want to see "
         "|Can you find out |Could you show me |Could you check |Let me see |Do you happen to know |Quickly tell me |Hey, tell me "
         "|Hi, can you tell me |Please report |Determine |Please give me |Can you give me |Pls tell me |Would you tell me |I need ".split("|"),
}
SUFFIXES = {
    "Q": [""] * 12 + " right now| please| exactly| in the sandbox| now| at the moment| currently|, please| by the way|, do you know".split("|"),
    "I": [""] * 12 + " please| for me| please| now|, please|, thanks| in the sandbox| using bash| with the bash tool|. Thanks| quickly"
                     "| right now|, thank you|, if you can|, would you| via bash| asap".split("|"),
    "W": [""] * 12 + " please| for me|, please|, thanks|. Thanks| now| right now|, thank you| using bash|, if possible".split("|"),
}


def expand(rng, text):
    """All `@phrases` put in, one alternative of every bracket chosen, innermost first."""
    text = re.sub(r"@([a-z]+)", lambda found: PHRASES[found.group(1)], text)
    while "[" in text:
        text = re.sub(r"\[([^\[\]]*)\]", lambda found: rng.choice(found.group(1).split("|")), text)
    return re.sub(" +", " ", text)


@functools.lru_cache(maxsize=None)
def split_templates(templates):
    """(trained, held out); the same for everybody, because only the text decides."""
    ranked = sorted(templates, key=lambda text: zlib.crc32(b"template " + text.encode()))
    kept = [text for text in ranked[:len(templates) // 10] if text[0] in "QIW"]
    return [text for text in ranked if text not in kept], kept


def bare(slots):
    """Whether the file of a request has a name like a directory's."""
    name = base(slots.get("F", ".").strip("'\""))
    return "." not in name and name not in KNOWN_FILES and slots["F"].strip("'\"") not in SYSTEM_FILES


def choose(rng, templates, split, says_file=False):
    """A wording for `split`: train, names (trained wordings), combinations or wordings (templates never trained; where a
    task has none, unseen combinations). None: no wording says that {F} is a file, though it has to."""
    trained, kept = split_templates(tuple(templates))
    whole, fitting = split == "wordings" and kept, None
    for _ in range(200):
        kind, text = rng.choice(kept if whole else trained).split(" ", 1)
        text = expand(rng, text)
        if says_file and not re.search(r"\bfile (called |named |with the name )?\{F\}", text):
            continue
        fitting = kind, text
        if whole or held_out(text, 10) == (split in ("combinations", "wordings")):
            break
    return fitting


def around(rng, kind, split, only_marks=False):
    """A prefix and an ending. Half of the sentences have no prefix, except where they need one. `only_marks`: no ending
    but a mark, or words behind one."""
    prefix = suffix = ""
    if kind == "W" or (kind in PREFIXES and rng.random() < 0.5):
        wanted = split == "wordings" and rng.random() < 0.3
        choices = [text for text in PREFIXES[kind] if held_out(text, 12) == wanted] or PREFIXES[kind]
        prefix = rng.choice(choices)
    if kind in SUFFIXES:
        suffix = rng.choice([text for text in SUFFIXES[kind] if text[:1] in ("", ",", ".") or not only_marks])
    asks = kind == "Q" or re.match(r"(?i).*\b(can|could|would|will|do) you", prefix)
    mark = rng.choice("????? ." if asks else "... ! " if kind in "IWX" else " .?").strip()
    return prefix, suffix + mark


def with_case(rng, text):
    kind = rng.random()
    return text[0].upper() + text[1:] if kind < 0.62 else text[0].lower() + text[1:] if kind < 0.97 else text


def with_typo(rng, text):
    """One letter of one word (never in a slot) dropped, doubled, swapped or hit beside."""
    words = text.split(" ")
    at = rng.randrange(len(words))
    word = words[at]
    if len(word) < 4 or not word.isalpha():
        return text
    i, kind = rng.randrange(1, len(word) - 1), rng.random()
    if kind < 0.35:
        words[at] = word[:i] + word[i + 1:]
    elif kind < 0.7:
        words[at] = word[:i] + word[i + 1] + word[i] + word[i + 2:]
    elif kind < 0.85:
        words[at] = word[:i] + word[i] + word[i:]
    else:
        words[at] = word[:i] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[i + 1:]
    return " ".join(words)


def open_ended(text, slots):
    """Whether the sentence ends with a text without quotes, to which any further word would belong."""
    return text.endswith("{T}") and slots["T"][0] not in "'\""


def phrase(rng, templates, split, slots, typos=0.07):
    """The whole sentence a user might write; None if no wording fits the slots."""
    chosen = choose(rng, templates, split, bare(slots))
    if not chosen:
        return None
    kind, text = chosen
    prefix, suffix = around(rng, kind, split, open_ended(text, slots))
    starts_with_slot = not prefix and text.startswith("{")
    if rng.random() < typos:
        text = with_typo(rng, text)
    sentence = re.sub(" +([,?.!])(?= |$)", r"\1", re.sub(" +", " ", prefix + text + suffix)).strip()
    sentence = re.sub(r"\{([A-Z]+)\}", lambda found: slots[found.group(1)], sentence)
    return sentence if starts_with_slot else with_case(rng, sentence)
