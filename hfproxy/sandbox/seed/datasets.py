"""What is in the demo's data sets: pictures with captions, tables, sentences, sounds."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import cycle, islice, product
from random import Random

from . import stickers
from .formats.parquet import Column, parquet
from .formats.wav import wav
from .plan import Build, PlannedCommit


def cat_stickers() -> Build:
    def build() -> Sequence[PlannedCommit]:
        drawn = [(f"train/{name}", picture) for name, picture in stickers.pictures()]
        cats, friends = drawn[:12], drawn[12:]
        return [
            PlannedCommit("Add the cats", dict(cats)),
            PlannedCommit("Add a few friends, and what is on each picture", {**dict(friends), **_captions()}, tag="v1"),
        ]

    return build


def tea_reviews() -> Build:
    def build() -> Sequence[PlannedCommit]:
        rows = list(_tea_rows())
        cut = len(rows) * 3 // 4
        return [
            PlannedCommit("Upload the reviews", {"reviews.csv": _csv(rows)}),
            PlannedCommit(
                "Split by tea", {"data/train.jsonl": _jsonl(rows[:cut]), "data/test.jsonl": _jsonl(rows[cut:])}
            ),
            PlannedCommit("Remove the unsplit table", {}, removed=["reviews.csv"], tag="v1.0"),
        ]

    return build


def city_weather() -> Build:
    def build() -> Sequence[PlannedCommit]:
        rows = list(_weather_rows())
        columns: dict[str, Column] = {name: [row[name] for row in rows] for name in rows[0]}  # type: ignore[misc]
        return [
            PlannedCommit("Add the table", {"weather.csv": _csv(rows)}),
            PlannedCommit("Add it as Parquet too", {"data/train-00000-of-00001.parquet": parquet(columns)}),
        ]

    return build


def support_tickets() -> Build:
    rows = [
        {"intent": intent, "language": language, "question": question, "answer": answer}
        for intent, (answer_de, answer_en, german, english) in _INTENTS.items()
        for language, answer, questions in (("de", answer_de, german), ("en", answer_en, english))
        for question in questions
    ]
    return lambda: [
        PlannedCommit("Upload", {"train.jsonl": _jsonl(rows[::2]), "validation.jsonl": _jsonl(rows[1::2])}),
        PlannedCommit("Terms", {"LICENSE.md": b"# Acme community licence 1.0\n\nFor companies of up to a hundred.\n"}),
    ]


def invoices() -> Build:
    return lambda: [PlannedCommit("Generate forty invoices", {"invoices.jsonl": _jsonl(_invoice_rows(40))})]


def proverbs() -> Build:
    germanic, others = _PROVERBS[:6], _PROVERBS[6:]

    def rows(chosen: Sequence[tuple[str, str, str, str]]) -> bytes:
        names = ("language", "proverb", "literally", "meaning")
        return _jsonl(dict(zip(names, proverb, strict=True)) for proverb in chosen)

    return lambda: [
        PlannedCommit("Germanic languages", {"germanic/train.jsonl": rows(germanic)}),
        PlannedCommit("And the others", {"others/train.jsonl": rows(others)}),
    ]


def frisian_pairs() -> Build:
    lines = "".join(f"{frisian}\t{dutch}\n" for frisian, dutch in _FRISIAN)
    return lambda: [PlannedCommit("Upload the pairs", {"pairs.tsv": lines.encode()})]


def reef_sounds() -> Build:
    def build() -> Sequence[PlannedCommit]:
        clips = {
            "shrimp": wav(2600, 3100, 2400, 3300, seconds_each=0.02),
            "fish": wav(180, 210, 180, seconds_each=0.08),
            "whale": wav(90, 110, 140, 120, 95, seconds_each=0.12),
            "engine": wav(*islice(cycle([62, 70]), 12), seconds_each=0.04),
        }
        rows = [{"file_name": f"{name}.wav", "label": name} for name in clips]
        sounds = {f"clips/{name}.wav": clip for name, clip in clips.items()}
        return [PlannedCommit("Add the clips", {**sounds, "clips/metadata.csv": _csv(rows)})]

    return build


def court_questions() -> Build:
    columns: dict[str, Column] = {
        "question": [question for question, _, _ in _QUESTIONS],
        "passage": [passage for _, passage, _ in _QUESTIONS],
        "pertinent": [relevant for _, _, relevant in _QUESTIONS],
    }
    return lambda: [PlannedCommit("Ajouter les questions", {"data/train-00000-of-00001.parquet": parquet(columns)})]


def notes() -> Build:
    return lambda: [PlannedCommit("Notes", {"notes.txt": b"buy strings\ncall the bank\nthe fifth is out of tune\n"})]


def _captions() -> Mapping[str, bytes]:
    return {"train/metadata.jsonl": stickers.captions()}


def _jsonl(rows: Iterable[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    written = io.StringIO()
    table = csv.DictWriter(written, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return written.getvalue().encode()


def _tea_rows() -> Iterable[Mapping[str, object]]:
    verdicts = {
        5: ("I finished the pot before I had taken my coat off.", "Bright, long and clean; the best of the winter."),
        4: ("Round and friendly, if a little shy.", "Smells of hay, tastes of honey. I would buy it again."),
        3: ("Neither good nor bad. It is warm.", "Fine with milk, forgettable without."),
        2: ("Tastes like the box it came in.", "Bitter after two minutes, thin after one."),
        1: ("My plants did not want it either.", "Something between wet wool and regret."),
    }
    teas = ("Harbour Smoke", "First Frost", "Old Ladder", "Morning Ferry", "Mulberry Lane", "Quiet Hours", "Tin Roof")
    for number, (tea, stars) in enumerate(product(teas, (5, 4, 3, 2, 1))):
        yield {"tea": tea, "review": verdicts[stars][number % 2], "stars": stars}


def _weather_rows() -> Iterable[dict[str, str | float]]:
    climates = {"Seagate": (9, 5, 0.5), "Highmark": (-2, 9, 0.4), "Dunes": (24, 15, 0.03), "Reedwater": (14, 6, 0.7)}
    for city, (mean, spread, wet) in climates.items():
        dice, raining = Random(city), False  # noqa: S311  (the same numbers each time is the point)
        for day in range(91):
            raining = dice.random() < (wet + 0.25 if raining else wet - 0.02)
            middle = mean + day / 12 + dice.uniform(-2, 2)
            yield {
                "city": city,
                "date": (date(2025, 1, 1) + timedelta(days=day)).isoformat(),
                "low_celsius": round(middle - spread / 2, 1),
                "high_celsius": round(middle + spread / 2, 1),
                "rain_mm": round(dice.uniform(0.2, 18), 1) if raining else 0.0,
                "wind_kmh": round(dice.uniform(2, 45), 1),
            }


def _invoice_rows(count: int) -> Iterable[Mapping[str, object]]:
    goods = ("paper", "ink", "folders", "a stamp", "two chairs", "a lamp")
    for number in range(count):
        net = 1250 + number * 735
        vat = round(net * 0.19)
        words = ["Invoice", f"No. {4100 + number}", goods[number % len(goods)], _euros(net), _euros(vat)]
        boxes = [[60, 40 + 90 * line, 400, 70 + 90 * line] for line in range(len(words) + 1)]
        yield {
            "words": [*words, _euros(net + vat)],
            "boxes": boxes,
            "question": "What is the total including VAT?",
            "answer": _euros(net + vat),
        }


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02} EUR"


_INTENTS: Mapping[str, tuple[str, str, tuple[str, str], tuple[str, str]]] = {
    "lieferung": (
        "Wir fragen beim Paketdienst nach und melden uns morgen.",
        "We will ask the carrier and come back to you tomorrow.",
        ("Mein Paket ist seit zwei Wochen unterwegs", "Kommt meine Bestellung noch vor Freitag?"),
        ("Where is my parcel?", "Will my order arrive before Friday?"),
    ),
    "rechnung": (
        "Die Rechnung liegt in Ihrem Konto unter „Dokumente“.",
        "You find the invoice in your account, under documents.",
        ("Ich brauche eine Rechnung mit Umsatzsteuer", "Sie haben zweimal abgebucht"),
        ("I need an invoice with VAT", "I was charged twice"),
    ),
    "passwort": (
        "Bitte folgen Sie dem Link in der E-Mail, die wir gerade geschickt haben.",
        "Please follow the link in the mail we have just sent.",
        ("Ich komme nicht mehr in mein Konto", "Der Code kommt nie an"),
        ("I cannot log in any more", "The code never arrives"),
    ),
    "rueckgabe": (
        "Sie haben dreißig Tage; das Etikett liegt dem Paket bei.",
        "You have thirty days; the label is in the box.",
        ("Die Schuhe passen nicht", "Wie schicke ich das zurück?"),
        ("The shoes do not fit", "How do I return this?"),
    ),
    "kuendigung": (
        "Schade. Ihr Vertrag endet zum Monatsende.",
        "What a pity. Your contract ends with this month.",
        ("Hiermit kündige ich", "Ich möchte das Abo beenden"),
        ("I want to cancel", "Please end my subscription"),
    ),
    "technik": (
        "Ziehen Sie bitte den Stecker und warten Sie eine Minute.",
        "Please unplug it and wait a minute.",
        ("Das Gerät blinkt rot", "Es geht nicht an"),
        ("The light blinks red", "It does not turn on"),
    ),
}

_PROVERBS: Sequence[tuple[str, str, str, str]] = (
    ("fy", "In goed begjin is it heale wurk.", "A good beginning is half the work.", "Start well."),
    ("fy", "Wa't net weaget, dy't net wint.", "Who does not dare does not win.", "Take a risk."),
    ("nl", "De soep wordt nooit zo heet gegeten.", "Soup is never eaten so hot.", "It will not be so bad."),
    ("de", "Der Regen fragt den Hut nicht.", "The rain does not ask the hat.", "Some things just happen."),
    ("de", "Morgenstund hat Gold im Mund.", "The morning hour has gold in its mouth.", "Rise early."),
    ("en", "A borrowed ladder is always too short.", "(itself)", "Own your tools."),
    ("eu", "Nolako zura, halako ezpala.", "As the wood, so the chip.", "Children take after their parents."),
    ("eu", "Gaurko ogia, gaur jan.", "Today's bread, eat today.", "Do not wait."),
    ("fr", "Le pain du voisin est toujours plus blanc.", "The neighbour's bread is whiter.", "Envy."),
    ("fr", "Petit à petit, l'oiseau fait son nid.", "Little by little the bird makes its nest.", "Patience."),
    ("qu", "Ama suwa, ama llulla, ama qilla.", "No stealing, no lying, no idling.", "How to live."),
)

_FRISIAN: Sequence[tuple[str, str]] = (
    ("It waait hurd hjoed.", "Het waait hard vandaag."),
    ("De boat leit yn 'e haven.", "De boot ligt in de haven."),
    ("Wy ite moarn tegearre.", "We eten morgen samen."),
    ("Hy hat syn kaai ferlern.", "Hij heeft zijn sleutel verloren."),
    ("De tsjerke stiet op in terp.", "De kerk staat op een terp."),
    ("Kinst my helpe?", "Kun je mij helpen?"),
    ("Der is gjin iis dit jier.", "Er is geen ijs dit jaar."),
    ("De kij steane yn it lân.", "De koeien staan in het land."),
)

_QUESTIONS: Sequence[tuple[str, str, int]] = (
    (
        "Mon propriétaire peut-il entrer chez moi sans prévenir ?",
        "Le locataire a la jouissance paisible du logement ; une visite se fait avec son accord.",
        1,
    ),
    (
        "Mon propriétaire peut-il entrer chez moi sans prévenir ?",
        "Le dépôt de garantie est rendu dans un délai qui dépend de l'état des lieux.",
        0,
    ),
    (
        "Puis-je rendre un article acheté en ligne ?",
        "L'acheteur à distance dispose d'un délai de rétractation, sans avoir à se justifier.",
        1,
    ),
    (
        "Puis-je rendre un article acheté en ligne ?",
        "La période d'essai permet à chacun de mettre fin au contrat avec un court préavis.",
        0,
    ),
    (
        "Combien dure une période d'essai ?",
        "La période d'essai permet à chacun de mettre fin au contrat avec un court préavis.",
        1,
    ),
    (
        "Qui paie la réparation du chauffe-eau ?",
        "L'entretien courant revient au locataire, les grosses réparations au propriétaire.",
        1,
    ),
)
