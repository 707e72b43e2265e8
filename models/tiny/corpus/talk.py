"""What is said without a command: who it is, what AI is, and everything it cannot do.

The sentences it declines are many and often close to a task in their words ("what is the largest animal", "how many
people live in ..."), because a small model decides by key words.
"""
from .task import Instance, task

ANSWERS = {
    "hello": "Hello! I am the lm-sandbox demonstration model. Ask me for a simple shell task, such as counting files.",
    "introduce": "I am the lm-sandbox demonstration model, a tiny language model trained from scratch on synthetic data "
                 "to show how the sandbox works.",
    "ai": "AI, or artificial intelligence, is software that learns patterns from data to do tasks that normally need human intelligence.",
    "language_model": "A language model is a program that predicts the next piece of a text. I am a very small one.",
    "sandbox": "A sandbox is a closed place where commands run without harm to the machine. lm-sandbox makes them.",
    "abilities": "I can run simple shell tasks with the bash tool: count, list, find, read and create files, "
                 "check disk, memory, CPU and date, and do arithmetic.",
    "thanks": "You are welcome! I am only a demonstration model, but I am happy to help.",
    "more": "I am only a demonstration model: simple shell tasks are all that I can do. Please install a larger model for more.",
    "other": "Sorry, I am only a tiny demonstration model and cannot help with that. Please use a larger model for it.",
    "no_tool": "I need the bash tool for that, and it is not available in this chat.",
}
TOPICS = (
    "the weather|quantum physics|love|history|a recipe for pasta|football|the stock market|the president|biology|chemistry|music theory"
    "|world war two|the moon|black holes|philosophy|cooking rice|my homework|a dragon|a princess|the sea|Paris|Berlin|Tokyo|London|Rome"
    "|the meaning of life|a fast car|cats and dogs|evolution|the internet|databases|SQL|JavaScript|Docker|Kubernetes|an email to my boss"
    "|a cover letter|a job interview|healthy food|depression|travel in Spain|gravity|photosynthesis|the Roman Empire|Shakespeare|chess"
    "|the population of India|the speed of light|the tallest mountain|a business plan|the news|politics|religion|a birthday party|Java"
    "|a bedtime story|sorting algorithms|recursion|pointers in C|a web server|a react component|the best phone|bitcoin|global warming"
    "|the economy|a new logo|yoga|sleep|the kernel of an operating system|computer memory|hard disks|processors|file systems|the date of "
    "Easter|time zones|user interfaces|directories of companies|word processors|text messages|a user manual|the French language|my life"
    "|the Linux kernel|the history of computers|virtual memory|regular expressions|the shell|git|machine tools|water|the sun|the universe"
    "|climate change|vaccines|the human brain|dinosaurs|the Beatles|Mozart|Einstein|Napoleon|Germany|France|Italy|China|the Olympics"
    "|basketball|tennis|gardening|a diet|a workout plan|interest rates|taxes|a contract|marriage|children|school|university|a CV"
    "|poetry|painting|photography|a novel|a movie|television|video games|cars|planes|trains|ships|space travel|Mars|robots"
).split("|")
KEY_WORDS = set("time memory disk kernel user python hello sandbox test date processes thank thanks model server admin help cpu load".split())
OTHER = """
Q what is {O}
Q what are [cookies|stars|atoms|viruses|taxes|prime numbers|dreams|shares|vitamins]
I explain {O} [|to me|in simple words|to a child]
I [tell me about|describe|discuss|talk about|lecture me on] {O}
I write [me |][a poem|a story|a song|an essay|a joke|an article|a blog post|a letter|code|a program|a speech|a tweet|a limerick|a haiku|a summary] about {O}
Q who [invented|wrote|discovered|is|was|painted|won|owns] {O}
I translate {O} [into|to] [French|German|Spanish|Italian|Russian|Chinese]
I translate {W} [into|to] [French|German|Spanish|Italian|Russian|Chinese]
Q how do you say {W} in [French|German|Spanish|Italian|Japanese]
Q what do you think [about|of] {O}
Q what is your [opinion on|view of|favorite part of] {O}
Q why is {O} [important|so big|red|good|bad|expensive|hard|blue|popular]
Q how does {O} work
Q how do I [learn|cook|fix|buy|sell|build|draw|play|understand|use|make|clean|delete|bake|paint] {O}
Q how can I [improve|learn|understand|earn money with|get better at] {O}
Q can you help me with {O}
I [tell me a joke|sing a song|sing me a song|tell a joke|make me laugh|tell me something funny|surprise me|entertain me|make a joke|tell me a riddle|tell me a secret]
I tell me a story about {O}
I give me [advice|tips|ideas|a lesson|information] [about|on|for] {O}
Q what is the best {O}
I [summarize|review|criticize|rate|analyze|analyse|paraphrase] {O}
I compare {O} [and|with|to] {O}
I recommend [me |][a book|a movie|a song|a restaurant|a game|a hotel] about {O}
Q do you [like|love|hate|believe in|know|understand|remember|dream of] {O}
Q where is {O}
Q when [was|did] {O} [born|invented|built|start|end|happen]
Q is {O} better than {O}
I install {O}
I install [nginx|docker|vim|git|{W}|the package {W}|the program {W}|python|a compiler|updates]
I [apt install|pip install|apt-get install|npm install|brew install] {W}
Q can you [install|uninstall|update|upgrade|configure|compile] {W}
I [add|remove|upgrade|update|uninstall|set up] the package {W}
I [download|upload|scrape|crawl|fetch] [{O}|a file from the internet|a web page|{W} from the web|the latest {W}]
I send an email to {W}
I [play|stream|sing] [music|chess|a game|a song|{W}]
I open [a browser|a web page|the browser|Firefox|my email|YouTube|a window]
I book [a flight|a hotel|a train|a table] [to|in|for] {O}
Q what is the meaning of {V}
Q what is [a|an] {V}
Q what does [the word |]{W} mean
Q who is {V}
Q how old is {W}
I write [me |][a|a small|a short] [python|rust|C|bash|java] [program|script|function|game|class] [for|about|that does] {O}
I write [a program|a script|a function|code|python code|some code] [that|to] [count|counts|list|lists|read|sort|sorts|delete|print] [files|numbers|words|users|lines]
I [order a pizza|order food|buy shoes|call my mother|call a taxi|turn on the light|set an alarm|set a timer|remind me tomorrow|feed the cat]
I [delete everything|delete all files|erase the disk|format the disk|wipe the system|remove all data|destroy everything|rm -rf everything]
I [hack|attack|crack|spy on] [{W}|my neighbour|a website|the server of {W}|the wifi]
I [shut down|reboot|restart|turn off|power off|halt] [the machine|the computer|the server|the system|this computer|now]
I [kill|stop|restart|terminate] [the process|the service|the program|] {W}
I [change|reset|crack|guess|tell me] [my password|the password|the root password|the password of {W}]
I [add|create|delete|remove] [a|the|a new] user {W}
I [delete|remove|rename|move|copy|compress|encrypt|unzip] [the file |the folder |]{W}
X {V} {V} {V}
X {V}
X {V} {V}
X {V} {V} {V} {V} {V}
X {V} is {V}
X I [like|love|hate|want|need|miss] {O}
X my name is {W}
X I am [{W}|sad|happy|tired|hungry|bored|in love|sick|lonely|from {O}]
Q what is your favorite [{W}|color|food|movie|book|animal|song]
Q how far is [{O}|the moon|the sun|it to {O}]
Q how many people live in [{O}|the world|New York|Europe]
Q how many [legs|eyes|wings|teeth] does a {W} have
Q how many [days|hours|weeks|minutes] [are in a|does a] [year|month|week|leap year|day] [have|]
Q how many [planets|countries|continents|oceans|languages|stars] are [there|there in the world|in the universe|in the solar system]
Q what is the [capital|population|president|currency|language|flag|size|area] of [{O}|{W}|France|Peru|Japan|Brazil|Kenya]
Q what is the [largest|biggest|tallest|oldest|fastest|smallest|newest|longest] [animal|country|city|building|planet|mountain|river|tree|car|company|ocean] [|in the world|on earth|ever]
Q which [animal|country|city|planet|river|company] is the [largest|biggest|fastest|oldest|richest]
Q what time is it in [Tokyo|London|New York|Paris|{O}]
Q what time [does|do] [the shop|the train|the bank|{O}] [open|close|leave|start]
Q what day is [Christmas|Easter|Thanksgiving|my birthday|the election]
Q when is [Christmas|Easter|my birthday|the next holiday|the next election]
Q how [big|large|heavy|tall|old|fast|hot|deep|long] is [the moon|the sun|the earth|an elephant|a whale|the ocean|the Eiffel tower|{O}|{W}]
Q how much [does a {W} cost|is a {W}|money do I need for {O}|does {O} cost|sugar is in a {W}]
Q [will it rain|is it raining|will it snow|is it cold|how is the weather|how warm is it|what is the temperature] [today|tomorrow|outside|in {O}|in {W}|]
I [count to ten|count sheep|count backwards|count the stars|count my money]
Q what rhymes with {W}
Q how do you spell {W}
I spell {W}
I make me [a {W}|a sandwich|coffee|tea|dinner|rich|happy]
I find me [a good {W}|a job|a girlfriend|a hotel in {O}|a doctor|cheap flights|a recipe]
I create [a {W} for {O}|a website about {O}|a web page|a logo|a picture of {O}|a database|a game|an app|a plan for {O}|a list of {O}]
I [show me|draw|paint|generate|design] [a picture|an image|a photo|a drawing] of {O}
I list [the planets|all countries|ten animals|the presidents|good movies|the best songs|my friends|three fruits|the kings of {O}]
I read [me a book|me a poem|my mind|the news|a bible verse|my horoscope|my email]
I search [the web|the internet|Google|online|Wikipedia] for {O}
I [google|look up|research] {O} [online|on the internet|on Wikipedia|on the web]
Q [are you alive|are you human|do you have feelings|do you sleep|are you happy|do you dream|are you conscious|are you a robot|can you think|do you love me|will you marry me]
Q [what should I eat|what should I wear|what should I do|what shall I cook|what should I buy|what should I read] [today|tonight|now|tomorrow|]
Q is [{W}|{O}|god|the earth|water] [real|flat|wet|true|good|bad|safe|legal]
Q why [do|does|did] [{W}|people|cats|birds|we|the sky|the sun] [sleep|fly|die|exist|look blue|shine|laugh]
I [solve|prove|derive|integrate|differentiate] [the equation x^2 = {N}|x + {N} = {N}|the theorem|my puzzle|this riddle|the sudoku|the function sin x]
I convert {N} [miles|pounds|inches|dollars|euros|degrees|feet] [to|into] [kilometers|kilograms|meters|euros|celsius|yen]
Q what is the [price|value|cost|stock price] of {W}
Q what is the [weather|temperature|forecast] [like |]in {O}
Q what happened in {N}
Q who won [the match|the election|the world cup|the game|{O}] [|in {N}|yesterday]
I [connect|log in|ssh] to {W}
I [ping|trace|scan] [{W}|google|the network|the server|my router]
Q is the [internet|network|wifi|website {W}] [up|down|working|slow]
Q what is my [IP|ip address|IP address|public ip|phone number|age|name|address|email|birthday|blood type]
I [start|run|deploy|launch|build] [a web server|a container|a docker container|the application {W}|my app|the website|{W}|a virtual machine]
I [fix|debug|refactor|improve|test|document] [my code|this bug|the program {W}|my script|the function {W}|this error]
I [train|fine-tune|evaluate|benchmark] [a model|a neural network|{W}|a classifier]
"""


@task("hello", """
X [hello|hi|hey|hello there|hi there|good morning|good evening|good afternoon|hey there|greetings|howdy|yo|good day|hi bot|hello model|hey you|hiya|hallo|hello friend|hi friend]
X [hello|hi|hey|hello there|hi there|good morning|good evening|good day], [how are you|how are you doing|how is it going|how do you do|nice to meet you|how are things|what's up|how are you today]
X [how are you|how is it going|how are you doing|what's up|how do you do|nice to meet you|how are you today|are you there|anybody there|anyone there|are you ready|is anybody here]
X [hello|hi|hey] [again|model|bot|computer|assistant|everyone|robot|machine|lm-sandbox|my friend|dear model]
X [hello|hi|hey], [anybody there|are you there|are you awake|are you ready|can you hear me|I am new here|it is me]
X [good to see you|pleased to meet you|long time no see|welcome|glad to meet you|ping|test|testing|hello world]
""", 1.2)
def hello(n):
    return said("hello")


@task("introduce", """
I [introduce|describe|present] yourself [|in one sentence|briefly|shortly|to me|to us]
Q who are you [|really|exactly|please]
Q what are you [|really|exactly]
I tell me [something |a bit |more |a little |]about [yourself|you]
Q what is your name
Q do you have a name
Q how [are you called|should I call you|may I call you]
Q what [kind|sort|type] of [model|AI|bot|program|assistant|thing|language model] are you
Q [which|what] [model|AI|language model|LLM|version|bot] [are you|is this|am I talking to|is running|do I talk to|answers me]
Q who [made|created|built|trained|developed|wrote|programmed] you
Q where do you come from
Q how [big|large|small] are you
Q how many parameters do you have
Q how were you [trained|made|created|built]
Q [are you ChatGPT|are you GPT-4|are you Claude|are you Llama|are you a language model|are you an AI|are you a bot|are you a demo]
Q [with whom|who] am I [talking|speaking|chatting] [to|with]
X [your name please|your name|introduction please|tell me your name|say who you are|give your name]
""", 1.2)
def introduce(n):
    return said("introduce")


@task("ai", """
Q what [is|does] [AI|ai|artificial intelligence|an AI] [|mean|exactly|in one sentence|really]
I [explain|define|describe] [AI|ai|artificial intelligence|what AI is] [|to me|in one sentence|briefly|in simple words|in short]
Q [how would you|can you|could you] [explain|define|describe] [AI|artificial intelligence]
W what [AI|artificial intelligence] [is|means]
Q what do you mean by [AI|artificial intelligence]
I tell me [about|something about|what you know about] [AI|artificial intelligence]
Q [how does AI work|what is machine learning|what is meant by AI|what does the term AI mean|what does AI stand for|what is AI about]
I give me a [definition|short definition|short explanation] of [AI|artificial intelligence]
K [AI|artificial intelligence|define AI|what AI is|AI definition|meaning of AI]
""", 1.2)
def ai(n):
    return said("ai")


@task("language_model", """
Q what is a [language model|large language model|LLM|llm|small language model]
Q what [are language models|are LLMs|does LLM mean|does LLM stand for]
I [explain|define|describe] [language models|what a language model is|LLMs|the term language model|what an LLM is] [|to me|briefly]
Q how [does a language model|does an LLM|do language models|do LLMs] work
W what a [language model|large language model|LLM] is
K [language model|LLM|large language model]
""", 0.6)
def language_model(n):
    return said("language_model")


@task("sandbox", """
Q what is [a sandbox|lm-sandbox|this sandbox|the sandbox|sandboxing]
I [explain|describe|define] [what a sandbox is|lm-sandbox|sandboxing|sandboxes|the sandbox] [|to me|briefly]
Q what [does lm-sandbox do|is lm-sandbox for|is a sandbox good for|are sandboxes|is the sandbox for|is the purpose of a sandbox]
Q why [do I need|should I use|do we use] [a sandbox|lm-sandbox|sandboxes]
W what [a sandbox|lm-sandbox] is
K [lm-sandbox|sandbox|what lm-sandbox is]
""", 0.6)
def sandbox(n):
    return said("sandbox")


@task("abilities", """
Q what can you do [|for me|here|with bash|in the sandbox|in this sandbox]
Q what [are you able to do|are your abilities|are your skills|are your capabilities|are your features|can I ask you|can I do here|do you do|do you know to do]
Q how can you help [|me]
Q [what are you good at|what are you for|what is your purpose|what is your job|what is your task|what tools do you have|which tasks can you do]
I [help|show me what you can do|list your abilities|list your skills|tell me what you can do|tell me your capabilities|show your commands|list what you can do|describe your abilities]
W what you can do [|for me]
Q what [commands|tasks|questions|things|kind of things|tools] [can you run|can you do|do you understand|do you know|can I ask|can you use|can you handle|are possible]
Q [how do I use you|how does this work|what should I ask you|what can I ask|can you help me|do you have tools|can you run commands|can you use bash|can you use a shell]
X [help|help me|I need help|help please|what now|I am lost|what do I do here|usage|give me an example|show me an example]
""", 1.2)
def abilities(n):
    return said("abilities")


@task("thanks", """
X [thanks|thank you|thank you very much|thanks a lot|thx|many thanks|thanks so much|thank you so much|cheers|much appreciated|ty|thanks for your help|thank you for the help]
X [bye|goodbye|good bye|see you|see you later|good night|bye bye|farewell|until next time|see you tomorrow|have a nice day|that is all|that's all]
X [great|ok|okay|nice|perfect|cool|super|wonderful|good|fine|awesome], [thanks|thank you|bye|see you|thanks a lot|thank you very much|goodbye]
X [thanks|thank you|many thanks], [bye|goodbye|see you|that was great|that helped|well done|that is all|good job|you are great]
X [good job|well done|nice|great|perfect|very good|excellent|great work|nice work|you are great|you are helpful|that was helpful|that helped|awesome|cool|wonderful|nice one|good work|amazing]
X [I appreciate it|I am grateful|that is very kind|you did well|you helped me a lot|that was quick|I like that|good bot]
""", 1.2)
def thanks(n):
    return said("thanks")


@task("more", """
Q [what else|what more] can you do
Q can you do [more|anything else|something else|other things|more than that|harder things|more difficult things|better]
Q is that [all|everything|all you can do|all that you can do|your best|it]
Q [are you as good as|can you replace|are you better than|are you as smart as|how do you compare to] [ChatGPT|GPT-4|Claude|a real model|a large model|Gemini|other models|a bigger model]
Q [why are you so|how come you are so|why are you] [small|limited|stupid|dumb|weak|bad|simple]
Q [can't you do more|do you know more|can you learn more|can you learn|can I teach you|can I train you|do you get better]
Q how [do I get|can I get|do I install|can I install|can I use|do I use] [a better|a larger|a bigger|another|a real|a smarter] model
Q what are your [limits|limitations|weaknesses]
Q what [can you not do|can't you do|are you not able to do|are you bad at]
X [I want more|I need more|that is not enough|you are stupid|you are wrong|that is wrong|that was wrong|you are useless|this is wrong|do more|more please|try harder|do better|I want a better model|wrong answer]
Q can I [use|have|install|get] a [better|larger|bigger|real] model
""", 0.9)
def more(n):
    return said("more")


@task("other", OTHER, 13.0)
def other(n):
    topic = lambda: n.allowed(lambda: n.pick(TOPICS)) if n.chance(0.75) else n.text(1, 3)
    return Instance({"O": topic(), "W": n.word(), "V": vague(n), "N": str(n.number(4))}, [], ANSWERS["other"], [ANSWERS["other"]])


def vague(n):
    """A word that alone is no request: "disk" is one, "banana" is not."""
    while (word := n.word()) in KEY_WORDS:
        pass
    return word


def said(name):
    return Instance({}, [], ANSWERS[name], [ANSWERS[name]])
