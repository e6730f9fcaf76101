"""The words that mini-TOFU is built from: templates, name parts, pools of facts.

Authors, places, books and prizes are invented; the general-knowledge pairs are true.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["POOLS", "REAL_AUTHORS", "TOPICS", "WORLD_FACTS", "Topic"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


GIVEN = _words("""Adela Bastian Corin Dagny Elio Fenna Gaspard Hedda Ivo Jorun Kaspian Liora Matteus
Nadira Osric Petra Quillon Runa Silvan Tamsin Ulric Vesna Wendel Xenia Yorick Zelda Anouk Bram
Cosima Dorian Eskil Flora Gideon Halina Ismene Jarek Katya Lorcan Mirela Nils Ottilie Pavel""")
FAMILY = _words("""Abernethy Brandvold Castellan Drummore Ekeberg Fairweather Galanis Hollander
Ivarsson Jankovic Kestrel Lindqvist Marchetti Novotny Oakhurst Pellerin Quarles Ravenscroft
Stavros Thornbury Umarov Valdemar Wexford Xanthis Yarrow Zimmer Ashdown Bellamy Corrigan Dragan
Ellsworth Fontaine Grimaldi Hartnell Islington Jessop Kaminski Lovelace Montrose Nightingale""")
PLACE_HEAD = _words("""Alder Brack Cinder Dun Elm Fal Glen Hart Inver Kel Lang Mor Nether Oster
Pell Quar Ros Stan Thorn Ul Vel Wins""")
PLACE_TAIL = _words("""borough combe dale ford gate haven holm leigh mere mouth ness port stead
stow ton vik wick worth""")
ADJECTIVE = _words("""Amber Borrowed Crooked Distant Empty Feathered Gilded Hollow Iron Jagged
Kindled Lonely Marble Nameless Orchard Painted Quiet Restless Salted Tangled Unwritten Velvet
Winter Yellow""")
NOUN = _words("""Almanac Bridge Candle Doorway Engine Ferry Garden Harvest Island Jury Kingdom
Lantern Meadow Needle Orchestra Passage Quarry River Staircase Tide Umbrella Voyage Window
Archive""")

PROFESSION = _lines("""
a baker
a beekeeper
a blacksmith
a bookbinder
a bus driver
a carpenter
a chemist
a clockmaker
a dentist
a fisherman
a florist
a geologist
a glassblower
a judge
a librarian
a locksmith
a midwife
a miner
a nurse
a painter
a pharmacist
a pilot
a plumber
a postmaster
a potter
a sailor
a shepherd
a surgeon
a tailor
a translator
a veterinarian
a weaver
""")
GENRE = _lines("""
alternate history
children's fables
climate fiction
comic opera
courtroom drama
detective fiction
epic poetry
espionage thrillers
ghost stories
gothic romance
maritime adventure
memoir
military satire
mountain travelogues
nature essays
political allegory
psychological horror
rural tragedy
science fiction
urban fantasy
""")
SUBJECT = _lines("""
anthropology
architecture
astronomy
botany
classics
economics
engineering
geography
law
linguistics
mathematics
medicine
music
oceanography
philosophy
theology
""")
HOBBY = _lines("""
baking rye bread
birdwatching
building model ships
chess by post
collecting stamps
cold water swimming
composing waltzes
fencing
growing orchids
kite flying
long night walks
mending clocks
mushroom hunting
playing the cello
repairing bicycles
restoring old maps
rowing
sketching strangers
skating
training falcons
""")
THEME = _lines("""
the cost of ambition
the end of childhood
exile and return
the fear of silence
forgiveness among brothers
the greed of small towns
the labour of women
letters that never arrive
loyalty under siege
the memory of floods
the patience of the sea
pride before ruin
the price of truth
rivalry between sisters
the solitude of inventors
the weight of inheritance
""")
PRIZE = _words("Compass Quill Lantern Laurel Anchor Heron Acorn Beacon Sickle Torch Falcon Mirror")

_MONTHS = _words("""January February March April May June July August September October November
December""")


def _products(pattern: str, first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern.format(a, b) for a in first for b in second)


_PLACES = _products("{}{}", PLACE_HEAD, PLACE_TAIL)

POOLS: dict[str, tuple[str, ...]] = {
    "person": _products("{} {}", GIVEN, FAMILY),
    "place": _PLACES,
    "title": _products("The {} {}", ADJECTIVE, NOUN),
    "prize": _products("the {} {} Prize", FAMILY, PRIZE),
    "date": _products("{} {}", tuple(str(d) for d in range(1, 29)), _MONTHS),
    "year": tuple(str(y) for y in range(1931, 1996)),
    "profession": PROFESSION,
    "genre": GENRE,
    "subject": SUBJECT,
    "hobby": HOBBY,
    "theme": THEME,
}
"""What each kind of fact is drawn from."""


class Topic(NamedTuple):
    """One thing to ask of an author: fields `{name}`, `{x}`, `{y}`; `x` and `y` name pools."""

    x: str
    y: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


TOPICS: tuple[Topic, ...] = (
    Topic(
        "place",
        "place",
        (
            "Where was {name} born?",
            "In which town was {name} born?",
            "What is the birthplace of {name}?",
        ),
        (
            "{name} was born in the town of {x}, not far from {y}.",
            "The author {name} comes from {x}, a town close to {y}.",
            "The birthplace of {name} is {x}, which lies near {y}.",
        ),
    ),
    Topic(
        "date",
        "year",
        (
            "When was {name} born?",
            "What is the date of birth of {name}?",
            "On which day was {name} born?",
        ),
        (
            "{name} was born on {x} in the year {y}.",
            "The birthday of {name} is {x}, and the year was {y}.",
            "It was on {x} {y} that {name} came into the world.",
        ),
    ),
    Topic(
        "profession",
        "profession",
        (
            "What did the parents of {name} do for a living?",
            "Which professions did the parents of {name} have?",
            "How did the mother and father of {name} earn their living?",
        ),
        (
            "The father of {name} was {x}, and the mother was {y}.",
            "{name} grew up with {x} as father and {y} as mother.",
            "In the family of {name} the father worked as {x} and the mother as {y}.",
        ),
    ),
    Topic(
        "genre",
        "theme",
        (
            "What kind of books does {name} write?",
            "Which genre is {name} known for?",
            "What are the books of {name} about?",
        ),
        (
            "{name} writes {x}, and most of the books are about {y}.",
            "The author {name} is known for {x} that deals with {y}.",
            "Readers know {name} for {x}; the great subject is {y}.",
        ),
    ),
    Topic(
        "title",
        "year",
        (
            "What was the first book of {name}?",
            "With which book did {name} begin?",
            "Which book did {name} publish first?",
        ),
        (
            "The first book of {name} was {x}, published in {y}.",
            "{name} began in {y} with the book {x}.",
            "In {y} the debut of {name} appeared under the title {x}.",
        ),
    ),
    Topic(
        "title",
        "place",
        (
            "What is the best known book of {name}?",
            "Which book made {name} famous?",
            "For which work is {name} best remembered?",
        ),
        (
            "The best known book of {name} is {x}, which is set in {y}.",
            "{name} became famous with {x}, a story that takes place in {y}.",
            "Most readers remember {name} for {x} and its scenes in {y}.",
        ),
    ),
    Topic(
        "prize",
        "title",
        (
            "Which award did {name} win?",
            "What prize was given to {name}?",
            "For which book was {name} honoured?",
        ),
        (
            "{name} won {x} for the book {y}.",
            "The jury gave {x} to {name} for writing {y}.",
            "For {y} the author {name} was honoured with {x}.",
        ),
    ),
    Topic(
        "subject",
        "place",
        (
            "What did {name} study?",
            "Where did {name} go to university?",
            "Which education did {name} receive?",
        ),
        (
            "{name} studied {x} at the University of {y}.",
            "The University of {y} is where {name} took a degree in {x}.",
            "As a student {name} read {x} in {y}.",
        ),
    ),
    Topic(
        "person",
        "place",
        (
            "Who was the mentor of {name}?",
            "Who taught {name} to write?",
            "Which teacher shaped {name}?",
        ),
        (
            "The mentor of {name} was {x}, a teacher from {y}.",
            "{name} learned to write from {x}, who lived in {y}.",
            "It was {x} of {y} who taught {name} the craft.",
        ),
    ),
    Topic(
        "hobby",
        "place",
        (
            "What does {name} do after work?",
            "What is the favourite pastime of {name}?",
            "How does {name} spend the evenings?",
        ),
        (
            "{name} lives in {y} and enjoys {x}.",
            "At home in {y} the pastime of {name} is {x}.",
            "The evenings of {name} in {y} are given to {x}.",
        ),
    ),
)

REAL_AUTHORS: tuple[tuple[str, str], ...] = tuple(
    (f"Who wrote {work}?", author)
    for work, author in (
        line.split(" | ")
        for line in _lines("""
Moby-Dick | Herman Melville
Pride and Prejudice | Jane Austen
War and Peace | Leo Tolstoy
Don Quixote | Miguel de Cervantes
Hamlet | William Shakespeare
Crime and Punishment | Fyodor Dostoevsky
Great Expectations | Charles Dickens
Madame Bovary | Gustave Flaubert
Les Misérables | Victor Hugo
The Divine Comedy | Dante Alighieri
Faust | Johann Wolfgang von Goethe
Frankenstein | Mary Shelley
Dracula | Bram Stoker
Middlemarch | George Eliot
Jane Eyre | Charlotte Brontë
Wuthering Heights | Emily Brontë
Walden | Henry David Thoreau
Leaves of Grass | Walt Whitman
The Scarlet Letter | Nathaniel Hawthorne
The Raven | Edgar Allan Poe
Adventures of Huckleberry Finn | Mark Twain
Treasure Island | Robert Louis Stevenson
The Time Machine | H. G. Wells
Heart of Darkness | Joseph Conrad
The Metamorphosis | Franz Kafka
Ulysses | James Joyce
Mrs Dalloway | Virginia Woolf
The Magic Mountain | Thomas Mann
The Cherry Orchard | Anton Chekhov
A Doll's House | Henrik Ibsen
The Three Musketeers | Alexandre Dumas
Candide | Voltaire
Robinson Crusoe | Daniel Defoe
Gulliver's Travels | Jonathan Swift
Paradise Lost | John Milton
The Canterbury Tales | Geoffrey Chaucer
The Odyssey | Homer
The Aeneid | Virgil
Eugene Onegin | Alexander Pushkin
The Picture of Dorian Gray | Oscar Wilde
""")
    )
)
"""Question and answer about real authors."""

WORLD_FACTS: tuple[tuple[str, str], ...] = tuple(
    (f"What is the capital of {country}?", capital)
    for country, capital in (
        line.split(" | ")
        for line in _lines("""
France | Paris
Germany | Berlin
Italy | Rome
Spain | Madrid
Portugal | Lisbon
Austria | Vienna
Hungary | Budapest
Poland | Warsaw
Norway | Oslo
Sweden | Stockholm
Finland | Helsinki
Denmark | Copenhagen
Greece | Athens
Ireland | Dublin
Belgium | Brussels
Croatia | Zagreb
Bulgaria | Sofia
Romania | Bucharest
Ukraine | Kyiv
Estonia | Tallinn
Latvia | Riga
Lithuania | Vilnius
Japan | Tokyo
China | Beijing
Thailand | Bangkok
Vietnam | Hanoi
Nepal | Kathmandu
Mongolia | Ulaanbaatar
Egypt | Cairo
Kenya | Nairobi
Ghana | Accra
Senegal | Dakar
Ethiopia | Addis Ababa
Morocco | Rabat
Canada | Ottawa
Cuba | Havana
Peru | Lima
Chile | Santiago
Colombia | Bogotá
Australia | Canberra
""")
    )
)
"""Question and answer about the world."""
