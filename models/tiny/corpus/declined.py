"""What it declines: everything else. The sentences are many and often close to a task in their words ("what is the
largest animal", "how many people live in ..."), because a small model decides by key words.
"""
from .talk import ANSWERS
from .task import Instance, key_words, task

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
Q what is the [capital|population|president|currency|language|flag|area] of [{O}|{W}|France|Peru|Japan|Brazil|Kenya]
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
X {V}
X {V}
X {V} {V}
X {V} {W} {V}
X {V} {V} {V} {V}
X {V} and {V}
X the {V}
X {V} in {V}
X {V} of {W}
X {V} [please|now|today|for me|and so on]
X [a|my|your|some] {V}
X I [have|had|see|saw|found|got|bought] [a|the|two|my] {V}
X [it|this|that] is [a|the|my] {V}
X [we|they|you|people] [like|want|need|have] {V}
X [asdf|qwerty|blah blah|lorem ipsum|foo bar|bla bla bla|xyz|abc|hmm|la la la|uh|what|why|who|how|yes|no|maybe|and|but|because]
Q {V}
Q [why|how] {V}
Q [why|how come|since when] [is|are|was] {V} {V}
Q what [is|was|are] {V}
Q what about {V}
Q what [colour|color|shape|sound|taste|smell] [is|has|does] [a|the] {V} [have|]
Q what happened [in|on|at|to|during|before|after|with] [{N}|{O}|{V}|the year {N}|{W}]
Q what happened in [{N}|the year {N}|{O}|{W}]
Q what [happens|will happen] [in|to|if|after|when] {O}
Q what [went on|took place|occurred|was invented|was discovered|was new] in [{N}|{O}|{V}|the year {N}]
Q who was [born|king|president|famous] in {N}
Q who [was|were|are|is] [{V}|the {V}|{O}|Mr {V}|Mrs {V}]
Q who [knows|likes|loves|needs|killed|built|made|plays|saw|has] {V}
Q who is the [king|queen|president|owner|author|boss|head|founder|director|inventor|mother|father] of {O}
Q do you know [who {V} is|{V}|what {V} is|where {V} is|anything about {V}]
W who [{V} is|{V} was|invented {O}|won the match|wrote {O}|the president of {O} is]
W [why {O} is important|how {O} works|the meaning of {V}|the history of {O}|the story of {O}|the news about {O}]
W [the weather|the temperature outside|the price of {W}|the score|the latest news|the lyrics of {W}|the recipe for {W}]
I [kill|stop|restart|terminate|end|pause|suspend] [the process|process|the service|the program|the job|the task|] {W}
I [kill|terminate|end|stop] [process|pid|PID|job|the process with the number|the process] {N}
I [kill|stop|terminate|end] [all|all the|all running|every] [processes|programs|process|jobs]
I [start|restart|run|stop] the [service|server|program|process|application|job] {W}
I [stop|leave|drop|ignore|forget] {W}
I stop [file|doing that|it|this|talking|now|the music]
Q can you [kill|stop|restart] [the process|the service|the program|] {W}
Q what day is [Christmas|Easter|Thanksgiving|New Year|the first of May|the election|pay day|my birthday] [|this year|next year]
Q [what|which] [date|weekday|day of the week] is [Christmas|Easter|Thanksgiving|New Year|the election|my birthday]
Q what day [was|is|will be] [{N}|yesterday|tomorrow|the day after tomorrow|the party|the match]
Q when [is|was|will be] [the election|the party|Easter|{O}|Christmas|Mother's day|the next full moon]
Q how many days [until|till|before|are left until] [Christmas|Easter|my birthday|the summer|the weekend|{O}]
Q how long [until|is it until|does it take to] [Christmas|get to {O}|learn {O}|cook {W}|my birthday]
Q how long [is|was] [{O}|the movie|a day on Mars|the flight to {O}|a {W}]
Q how [warm|cold|hot|humid|windy|sunny|dark|wet] is it [|today|outside|in {O}|tomorrow|right now]
Q how [warm|cold|hot|humid|windy] [will it be|was it] [today|tomorrow|yesterday|outside|in {O}]
Q is it [warm|cold|hot|sunny|raining|snowing|dark|windy|nice] [today|outside|in {O}|now]
Q do I need [an umbrella|a coat|a jacket|sunscreen] [today|tomorrow|]
Q how is [the weather|your family|life|work|{O}|your mother|the traffic] [today|]
Q how many {W} are there in [the world|{O}|a {W}|the sky]
Q how many [people|cars|dogs|trees|books|houses|friends|moons] [are there|are in {O}|do I have|does {O} have|fit in {O}]
Q how much [time|money|water|sugar|love|sleep] [do I need|is left in life|do people need|does {O} need|is in {O}]
Q how much [is|are|was] [{O}|a {V}|the {V}|a car|a house|one {V}]
Q what is [the largest|the biggest|the newest|the oldest|the best] {V} [in the world|of all|]
Q what is [a good|the right|an easy|a typical] {V}
Q what is the difference between {O} and {O}
Q what is [inside|in] [the earth|a star|an egg|an atom|a sandwich|the news|{O} made of]
Q what is [the opposite of|another word for|the plural of|the past of] {W}
Q what is the [name|age|address|phone number|birthday] of [my mother|the president|your dog|{V}|my boss]
Q what is the [speed|weight|height|distance|age|colour] of [{O}|{W}|the sun|the moon|light|a car]
Q what is the [stock price|share price|exchange rate|market value] of [{W}|{O}|the dollar|gold]
Q what does [a|an|the] [{V}|cat|lawyer|doctor|heart] [do|eat|cost|look like|say]
Q where [are|were] [my keys|my friends|the {V}|we in history|the toilets]
Q where [do|can] [I|we] [buy|get|eat|see] [{W}|a {W}|{O}|pizza]
Q where [was|were] {O} [born|invented|made|found]
Q which [{V}|book|song|colour|team|phone|language|car] [is the best|do you like|should I buy|is better|won]
Q which {V} is [{V}|better|cheaper|faster]
Q should I [buy|learn|read|eat|sell|marry|visit] [{O}|a {W}|{W}]
Q does [god|{V}|my dog|she|he] [exist|love me|know {W}|like {W}]
Q is there [life on Mars|a god|life after death|a {V} in {O}|any news|a doctor here]
Q am I [right|old|late|ill|pretty|dreaming|smart|rich]
Q can [dogs|cats|people|fish|you|we] [fly|swim|sing|dance|drive|cook|smell|see colours]
I [make|write|create|build] [me |][a|an] [app|website|game|bot|plan|timetable|business plan|logo|song] [for|about|with] {O}
I write [me |][an email|a letter|a mail|a message|a text] to [my boss|{V}|my mother|my landlord|the bank]
I [write|draft|compose] [a|an] [essay|report|review|thesis|invitation|apology] [on|about|for] {O}
I [correct|check|proofread|improve|rewrite|shorten] [my grammar|this text|this sentence|my essay|the spelling of {W}|my letter]
I check [the weather|my email|the news|my grammar|my blood pressure|the traffic|the stock market|my spelling]
I count [to {N}|from {N} to {N}|the stars|the trees|to three|the days until Christmas]
I [read|tell|give] me [a story|the news|the weather|a fairy tale|your thoughts|a fact about {O}]
I show me [the news|the weather|a map|a map of {O}|a film|pictures of {O}|how to cook {W}|the way to {O}]
I [find|search for|look for] [a job|love|a cheap flight|a doctor|a restaurant in {O}|a flat|the truth|a hotel]
I [list|name] [ten|three|five|all] [animals|countries|cities|colours|books|fruits|planets|kings of {O}]
I [add|put] {W} to [my shopping list|the calendar|my cart|my playlist|the soup]
I [save|book|reserve|cancel] [my seat|the whales|a room|the meeting|a ticket to {O}|the date]
I [move|copy|rename] {W} to {V}
I [move|copy|rename] [the file |the directory |]{W} [to|into|as] {V}
I [delete|remove|erase|drop] [the directory |the folder |the file |all of |]{W}
I [zip|unzip|compress|pack|extract|archive] [the file |the folder |the archive |]{W}
I [change|set] the [owner|permissions|rights|mode|password|hostname|time zone|language] [of {W}|to {W}|]
I [mount|unmount|partition|format|repair] [the disk|the drive|the usb stick|{W}]
I [clone|push|pull|commit|merge|check out] [the repository|my changes|{W}|the branch {W}]
I [sort|shuffle|reverse|replace|swap] [the words of {W}|my books|the letters of {W}|the list|{W} and {V}]
I [describe|discuss|analyze|analyse|discuss|explain|judge|interpret] [{V}|the {V}|{O}|this {V}]
I [imagine|pretend|suppose|believe|act as if] [you are a {V}|it is summer|you are human|I am {V}]
I [learn|remember|forget|repeat] [{W}|my name|this word|what I said|the number {N}]
I [wake me up|call me|remind me|warn me] [at {N}|tomorrow|in an hour|when it rains|about {O}]
"""


def vague(n):
    """A word that alone is no request."""
    while (word := n.word()) in key_words():
        pass
    return word


@task("other", OTHER, 17.0)
def other(n):
    some = lambda: " ".join(vague(n) for _ in range(n.rng.randint(1, 3)))
    topic = n.allowed(lambda: n.pick(TOPICS)) if n.chance(0.75) else some()
    return Instance({"O": topic, "W": n.word(), "V": vague(n), "N": str(n.number(4))}, [], ANSWERS["other"], [ANSWERS["other"]])
