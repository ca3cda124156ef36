"""The fixed vocabulary: words that carry no meaning for a question, synonyms, and words for money.

A word that is in no list here and names nothing in the database is never skipped: it is looked up as a value, or the
question is refused. `phrases` holds the turns of speech of more than one word.
"""

from databot.providers.offline.words import listed

HARD = frozenset(
    listed(
        """
    a an the of in on at to for from with is are was were be do does did have has had i me my we us our you your
    it its they them he she his her this that these those there here can will let s t re so far hi how when
    where out up by per as than not and or what which who show would could should
    """
    )
)
"""Words that name nothing, even where a table or column is called so; quotes make a name of them."""

NEUTRAL = frozenset(
    listed(
        """
    a an the of in on at to for from with is are was were be been being do does did have has had i me my we us
    our you your it its they them their he she his her this that these those there here please can could would
    will should shall want need like know tell give let lets what's whats s t re ve many much all any some every
    each ever so far ok okay hey hi now then also too again instead about into out up by per as than how when
    where whose whom made placed make place exist exists   currently  contain contained
    stored store held recorded record row entry data database value list listing result number detail
    information info table column field happen happened occur occurred came come live living located based
    belong belonging go going take taken took which who what one ones those same thing things according whole yet already brings bring generates handled handles handle contributes
    entire each per-day respectively got get gets having be it's im i'm i'd id've we've just really actually
    maybe question answer overview breakdown report view sorted sort order  ascending descending rank
    ranked ranking our their come calculate compute determine change switch use using say said look looking
    curious interested wonder wondering hello thanks thank generate create made show display only and or but
    u r pls plz ur named called titled how's where's who's there's
    """
    )
)
"""Words that change nothing. `order` is here for "in order of": a table of that name is matched before."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "client": ("customer", "account", "user"),
    "customer": ("client", "account", "buyer", "user"),
    "buyer": ("customer", "client"),
    "shopper": ("customer",),
    "user": ("account", "member", "customer"),
    "member": ("user", "customer"),
    "item": ("product", "article"),
    "article": ("product", "item"),
    "good": ("product", "item"),
    "product": ("item", "article"),
    "employee": ("staff", "worker"),
    "staff": ("employee", "worker"),
    "worker": ("employee",),
    "colleague": ("employee",),
    "purchase": ("order", "sale"),
    "order": ("purchase", "sale"),
    "sale": ("order", "purchase"),
    "nation": ("country",),
    "state": ("status", "region"),
    "status": ("state",),
    "town": ("city",),
    "kind": ("type", "category"),
    "type": ("kind", "category"),
    "category": ("type", "kind", "genre"),
    "pupil": ("student",),
    "student": ("pupil",),
    "class": ("course",),
    "course": ("class",),
    "doctor": ("physician",),
    "physician": ("doctor",),
    "visit": ("appointment", "encounter"),
    "appointment": ("visit", "encounter"),
    "ward": ("department",),
    "device": ("sensor", "machine"),
    "sensor": ("device",),
    "wage": ("salary",),
    "salary": ("wage", "pay"),
    "mark": ("grade", "score"),
    "grade": ("score", "mark"),
    "score": ("grade", "mark"),
    "quantity": ("qty",),
    "unit": ("quantity", "qty"),
    "cost": ("price",),
    "price": ("cost", "fee"),
    "mail": ("email",),
    "firm": ("company",),
    "supplier": ("vendor",),
    "vendor": ("supplier",),
}
MONEY = frozenset(
    listed(
        """
    revenue rev sale turnover income earning amount value spend spending spent sell sold money billing proceeds gmv takings
    """
    )
)
"""Words for what was earned, when no column is called so."""

MONEY_COLUMNS = (
    "revenue", "total amount", "total price", "order total", "grand total", "line total", "total", "amount",
    "sale amount", "net amount", "gross amount", "sale", "turnover", "subtotal", "total cost",
)  # fmt: skip
QUANTITIES = ("quantity", "qty", "unit", "count", "number")
PRICES = ("unit price", "price", "price each", "unit cost", "sale price", "list price", "rate")
LEVELS = frozenset(
    listed(
        """
    price rate score grade mark age temperature percent percentage pct duration latency rating ratio humidity
    pressure speed average avg mean gpa level salary wage height weight size length fee
    """
    )
)
"""Numbers whose sum says nothing: they are averaged where no function is named."""

LABELS = frozenset(listed("year month quarter zip plz postcode phone code number nr no jahr"))
"""Last words of columns whose numbers tell things apart and are no quantities."""

KEYWORDS = listed(
    """
    average total count number maximum minimum highest lowest largest smallest latest newest oldest month
    monthly weekly daily yearly quarter quarterly yesterday today revenue turnover customer product employee
    order country category status distinct different unique percentage between before after without chart export
    describe tables columns january february march april august september october november december many
    """
)
"""What a misspelt word may have been meant to be, besides the names of the database."""

ENGLISH = (
    frozenset(SYNONYMS)
    | frozenset(word for words in SYNONYMS.values() for word in words)
    | frozenset(
        listed(
            """
    address agent airport alarm album answer artist asset author bank batch bill book booking branch brand budget bug
    building bus campaign campus car card case cell center channel charge city claim class comment company component
    contact contract country county credit day deal delivery department discount division document donation driver
    email employee entry equipment error event exam expense experiment facility farm feature fee file film fine flight
    game group hour hotel house image incident income inspection inventory invoice issue job journey label lease lesson
    level library license line link list load loan location log machine manager market meal measurement medication meter
    method metric model month movement movie museum name note offer office operator option page parcel part
    participant passenger patient payment penalty permit person phone photo pipeline plan plant player point policy post
    prescription price process professor profile project property question race rating reading recipe record region
    registration rental repair report request reservation restaurant result return review ride role room route row run
    salesperson sample schedule school season seat segment sensor series service session shift ship shipment shop show
    site source species sport stage stop store street style subject subscription survey system table tag target task
    tax teacher team test ticket title topic track trade train transaction transfer trip truck unit update value vehicle
    version video view village voucher warehouse week winner word year zone node container pod metro dose sighting
    """
        )
    )
)
"""Words that make an English plural; names of other words are told as they are spelt."""

BEYOND = {
    "predict": "forecasting", "forecast": "forecasting", "predicted": "forecasting", "projection": "forecasting",
    "correlate": "correlations", "correlation": "correlations", "regression": "statistics beyond averages",
    "median": "medians", "percentile": "percentiles", "deviation": "standard deviations", "variance": "variances",
    "why": "explaining causes", "because": "explaining causes", "reason": "explaining causes", "explain": "explaining causes",
    "growth": "growth rates", "grow": "growth rates", "churn": "churn", "cohort": "cohorts", "retention": "retention",
    "anomaly": "finding anomalies", "outlier": "finding outliers", "compare": "comparing periods side by side",
    "delete": "changing data", "drop": "changing data", "update": "changing data", "insert": "changing data",
    "truncate": "changing data", "alter": "changing data", "remove": "changing data", "email": "sending messages",
    "send": "sending messages", "translate": "translating", "write": "writing texts", "poem": "writing texts",
    "summarize": "summarising texts", "summarise": "summarising texts", "running": "running totals", "cumulative": "running totals",
}  # fmt: skip
"""Known to be more than this analyst can do; named so when the database has no such word."""
