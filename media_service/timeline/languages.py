"""Languages of tracks: what containers say (ISO 639-2, BCP 47) -> what players and people read.

The table has the languages that films come in; others keep their code, which players show as well as we could.
"""

from __future__ import annotations

import re

UNKNOWN = {"und", "mis", "mul", "zxx", "xx"}  # ISO 639-2's codes for no one language

# ISO 639-1 code, ISO 639-2 codes (terminological, bibliographic), the language's own name
_TABLE = """
af afr Afrikaans|am amh አማርኛ|ar ara العربية|az aze Azərbaycan|be bel Беларуская|bg bul Български|bn ben বাংলা
bs bos Bosanski|ca cat Català|cs ces,cze Čeština|cy cym,wel Cymraeg|da dan Dansk|de deu,ger Deutsch
el ell,gre Ελληνικά|en eng English|eo epo Esperanto|es spa Español|et est Eesti|eu eus,baq Euskara
fa fas,per فارسی|fi fin Suomi|fil fil Filipino|fo fao Føroyskt|fr fra,fre Français|ga gle Gaeilge|gl glg Galego
gu guj ગુજરાતી|he heb עברית|hi hin हिन्दी|hr hrv Hrvatski|hu hun Magyar|hy hye,arm Հայերեն|id ind Bahasa Indonesia
is isl,ice Íslenska|it ita Italiano|ja jpn 日本語|ka kat,geo ქართული|kk kaz Қазақша|km khm ខ្មែរ|kn kan ಕನ್ನಡ
ko kor 한국어|ku kur Kurdî|la lat Latina|lb ltz Lëtzebuergesch|lo lao ລາວ|lt lit Lietuvių|lv lav Latviešu
mk mkd,mac Македонски|ml mal മലയാളം|mn mon Монгол|mr mar मराठी|ms msa,may Bahasa Melayu|mt mlt Malti
my mya,bur မြန်မာ|nb nob Norsk bokmål|ne nep नेपाली|nl nld,dut Nederlands|nn nno Norsk nynorsk|no nor Norsk
pa pan ਪੰਜਾਬੀ|pl pol Polski|ps pus پښتو|pt por Português|ro ron,rum Română|ru rus Русский|si sin සිංහල
sk slk,slo Slovenčina|sl slv Slovenščina|so som Soomaali|sq sqi,alb Shqip|sr srp Српски|sv swe Svenska
sw swa Kiswahili|ta tam தமிழ்|te tel తెలుగు|th tha ไทย|tl tgl Tagalog|tr tur Türkçe|uk ukr Українська|ur urd اردو
uz uzb Ўзбек|vi vie Tiếng Việt|xh xho isiXhosa|zh zho,chi 中文|zu zul isiZulu
"""

_ROWS = [row.split(maxsplit=2) for row in _TABLE.strip().replace("\n", "|").split("|")]
_NAMES = {short: name for short, _, name in _ROWS}
_SHORT = {code: short for short, codes, _ in _ROWS for code in codes.split(",")}

# RFC 5646 s. 2.1, as far as containers go: a language, then subtags such as a script or a region.
_TAG = re.compile(r"([a-zA-Z]{2,8})((?:-[a-zA-Z0-9]{1,8})*)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def tag_of(language: str | None) -> str | None:
    """What a container says, as a BCP 47 tag with the shortest code (RFC 5646 s. 4.5); None for what is no language."""
    found = None if language is None else _TAG.fullmatch(language.strip().replace("_", "-"))
    if found is None:
        return None
    code = found[1].lower()
    return None if code in UNKNOWN else _SHORT.get(code, code) + found[2]


def label_of(
    language: str | None, title: str | None, *, channels: int | None = None, unknown: str = "Sound"
) -> str:
    """A name for people: "Deutsch (Kommentar, 5.1)". `unknown` is said of a track that tells nothing of itself."""
    tag = tag_of(language)
    code, _, region = (tag or "").partition("-")
    name = _NAMES.get(code, code)
    if name and region:
        name = f"{name} [{region}]"
    title = _CONTROLS.sub(" ", title or "").strip()
    if not name or name.casefold() in title.casefold():
        name, title = title or name or unknown, ""
    layout = "" if channels is None or channels <= 2 else "5.1" if channels == 6 else f"{channels} channels"
    remarks = [remark for remark in (title, layout) if remark and remark not in name]
    return f"{name} ({', '.join(remarks)})" if remarks else name
