"""Arithmetic: the shell or awk computes, never the model."""
from .task import Instance, Step, task

NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
SIGNS = {"+": ["+", "+", " + ", "plus", "added to"], "-": ["-", "-", "minus"], "*": ["*", "*", "times", "x", "multiplied by"],
         "/": ["/", "/", "divided by", "over"]}
RESULTS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}


def awk(expression):
    return f"awk 'BEGIN {{print {expression}}}'"


def awk_number(value):
    """As awk prints it: %d when it is whole, else %.6g."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else f"{value:.6g}"


def spelled(n, number):
    return NUMBER_WORDS[number] if number < len(NUMBER_WORDS) and n.chance(0.22) else str(number)


def joined(n, a, sign, b):
    said = n.pick(SIGNS[sign])
    if len(said) > 1 or said == "x" or n.chance(0.7):
        return f"{spelled(n, a)} {said.strip()} {spelled(n, b)}"
    return f"{a}{said}{b}"


@task("arithmetic", """
Q what is {E}
Q what's {E}
Q how much is {E}
I @compute {E}
I @compute [the value of|the result of] {E}
W the [result|value|answer|outcome] of {E}
W what {E} is
I use [bash|python|the shell|awk] to [calculate|compute|work out] {E}
Q what do [you|I|we] get for {E}
Q what does {E} [equal|give|make|yield]
X {E}
X {E} = ?
Q {E} =
I do the math: {E}
Q can you solve {E}
I [tell me|say] [how much|what] {E} [makes|is|gives]
K [calculate|compute|calc|result of] {E}
Q what is the [result|sum|answer|value] of {E}
""", 3.0)
def arithmetic(n):
    digits = lambda: n.number(n.pick([1, 2, 3, 4, 5]))
    if n.chance(0.18):
        return three_numbers(n, digits)
    a, b, sign = digits(), max(digits(), 1), n.pick("+-**+-/")
    expression, said = f"{a} {sign} {b}", joined(n, a, sign, b)
    if sign == "/":
        value, command = awk_number(a / b), awk(expression)
    else:
        value, command = str(RESULTS[sign](a, b)), f"echo $(({expression}))"
    return Instance({"E": said}, [Step(command, value)], f"{expression} = {value}", [value])


def three_numbers(n, digits):
    a, b, c, first, second = digits(), digits(), digits(), n.pick("+-*"), n.pick("+-*")
    expression = f"({a} {first} {b}) {second} {c}" if n.chance(0.4) else f"{a} {first} {b} {second} {c}"
    value = str(eval(expression))  # digits and signs that were put together above
    return Instance({"E": expression}, [Step(f"echo $(({expression}))", value)], f"{expression} = {value}", [value])


@task("square_root", """
Q what is the [square root|sqrt] of {N}
Q what's the [square root|sqrt] of {N}
Q how much is the [square root|root] of {N}
Q what is [sqrt({N})|sqrt {N}|the root of {N}]
Q what [do I get|do we get] for the [square root|sqrt] of {N}
Q which number [squared|times itself] [is|gives] {N}
I @compute the [square root|sqrt|root] of {N}
I @compute [sqrt({N})|sqrt {N}]
I [take|find|get|give me|tell me] the [square root|root|sqrt] of {N}
W the [square root|sqrt|root] of {N}
W what the [square root|sqrt|root] of {N} is
W the [result|value] of [sqrt({N})|the square root of {N}]
Q can you [take|compute|find] the [square root|root|sqrt] of {N}
K [square root of|sqrt of|sqrt|root of|square root] {N}
X sqrt({N})
""", 1.0)
def square_root(n):
    number = n.number(5)
    value = awk_number(number**0.5)
    return Instance({"N": str(number)}, [Step(awk(f"sqrt({number})"), value)], f"The square root of {number} is {value}", [value])


@task("power", """
Q what is {N} [to the power of|to the power|raised to the power of|raised to] {M}
Q what's {N} [to the power of|to the power|raised to the power of] {M}
Q how much is {N} [to the power|to the power of|raised to the power of] {M}
I @compute {N} [to the power of|raised to the power of|to the power] {M}
I @compute {N} [**|^] {M}
W {N} [to the power of|raised to the power of|to the power] {M}
W what {N} [to the power of|raised to the power of|to the power] {M} is
Q what is {N} [**|^] {M}
Q how much is {N} [**|^] {M}
I [raise|take] {N} to the power [of |]{M}
X {N} [**|^] {M}
K {N} [to the power of|**|^|to the power] {M}
""", 0.7)
def power(n):
    number, exponent = n.number(2), n.rng.randint(2, 9 if n.chance(0.7) else 16)
    value = str(number**exponent) if number**exponent < 2**63 else None
    if value is None:
        return power(n)
    return Instance({"N": str(number), "M": str(exponent)}, [Step(f"echo $(({number} ** {exponent}))", value)],
                    f"{number} to the power of {exponent} is {value}", [value])


@task("percent", """
Q [what is|how much is|what's] {N} [percent|%|per cent] of {M}
Q how much [do I get for|makes|are] {N} [percent|%] of {M}
I @compute {N} [percent|%|per cent] of {M}
I @compute [the result of|what is] {N} [percent|%] of {M}
W {N} [percent|%] of {M}
W [how much|what] {N} [percent|%] of {M} is
W the value of {N} [percent|%] of {M}
I [take|get] {N} [percent|%] of {M}
Q can you [compute|calculate] {N} [percent|%] of {M}
X {N} [percent|%] of {M}
K [compute |calculate |]{N} [percent|%] of {M}
""", 0.7)
def percent(n):
    share, number = n.number(2), n.number(5)
    value = awk_number(share * number / 100)
    return Instance({"N": str(share), "M": str(number)}, [Step(awk(f"{share} * {number} / 100"), value)],
                    f"{share} percent of {number} is {value}", [value])
