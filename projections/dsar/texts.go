package dsar

// texts are what the pages say, in plain words. Keys are the same in both languages; a test asserts
// it, and that the Dutch keeps apart what must not be confused: "op afstand wissen" of a device and
// "gegevenswissing" of a person.
var texts = map[string]map[string]string{
	"en": {
		"title":    "What this ledger holds about you",
		"kind":     "Copy of your personal data · Article 15 GDPR",
		"skip":     "To the content",
		"contents": "In this document",

		"fact.for": "For", "fact.made": "Made on", "fact.upto": "Searched up to", "fact.zone": "Times",
		"upto": "record number %d of the ledger", "zone": "in the time zone %s",

		"letter.1": "You asked which personal data we hold about you. This document answers for one system: the " +
			"ledger in which we keep what happens in the management of phones, tablets and computers. It shows, as " +
			"far as this ledger has linked it to you: your devices, what administrators did that concerns you, " +
			"what you did yourself, and who looked at your data.",
		"letter.2": "The records you find here are also in the folder “data”, in files that a program can read. " +
			"Words that need explaining are in the list at the end.",
		"empty.1": "You asked which personal data we hold about you. This document answers for one system: the " +
			"ledger in which we keep what happens in the management of phones, tablets and computers.",
		"empty.2": "We found nothing in this ledger that we can link to you: no devices, no actions and no " +
			"identifiers.",
		"empty.3": "Was your data erased before? Then times, kinds of action and random numbers remain; somebody " +
			"with data from outside this ledger may still be able to link them to you.",
		"limits.1": "This copy holds the records that this ledger has linked to you or your devices, up to the " +
			"record number above. Texts that others wrote were not searched for your name. It says nothing of " +
			"Microsoft Intune, Microsoft Entra or any other system.",
		"limits.2": "Data that others have a right to keep to themselves is left out. What was left out, how much " +
			"of it and why is in the part “What we have withheld”.",

		"figure.devices": "devices", "figure.about": "records about you", "figure.by": "records of what you did",
		"figure.views": "times your data was viewed", "figure.since": "first record",
		"figure.device1": "device", "figure.about1": "record about you", "figure.by1": "record of what you did",
		"figure.view1": "time your data was viewed",
		"overview":     "What we hold, at a glance",
		"overview.note": "A record is one thing that was noted at one " +
			"time. Categories with no records are listed too.",
		"col.category": "Category", "col.records": "Records", "col.first": "First", "col.last": "Last",
		"col.source": "Source", "col.file": "File in “data”",

		"category.devices": "Your devices", "category.apps": "Apps on your devices",
		"category.actions-about": "Actions that concern you", "category.actions-by": "Your own actions",
		"category.refusals": "What we refused to collect", "category.requests": "Your requests",
		"category.views": "Who viewed your data", "category.other": "Other records",

		"identity":         "How you are known here",
		"identity.p":       "These are the identifiers by which this ledger recognises you.",
		"identity.caption": "Your identifiers", "identity.none": "No identifiers of you are on record.",
		"col.kind": "Kind", "col.value": "Value", "col.last-seen": "Last seen", "now": "now", "unknown": "not known",
		"kind.upn": "Sign-in name", "kind.email": "E-mail address", "kind.object-id": "Directory number",
		"kind.name": "Name",
		"devices":   "Your devices", "devices.none": "This ledger knows of no device that you held.",
		"devices.p": "For every device: what we know of it now, since when and from which source; then " +
			"what changed; then its apps. For a device of which you are no longer the user, only the time in which " +
			"this ledger knew you as its user is shown.",
		"device":            "Device %d",
		"device.held":       "This ledger knows you as its user since %s.",
		"device.heldto":     "This ledger knew you as its user from %s until %s.",
		"device.of.company": "It belongs to the organisation.", "device.of.personal": "It is your own device.",
		"current.caption": "What we know of it", "current.ended": "What we knew of it at the end of that time",
		"col.item": "Item", "col.since": "Since",
		"history.caption": "What changed",
		"history.note": "Values that change every day, such as the last " +
			"contact, are not in this list but in the file data/devices.csv.",
		"history.none": "No other changes are recorded than those of values that change every day, which are in " +
			"the file data/devices.csv.",
		"col.when": "When", "col.before": "Before", "col.after": "After",
		"apps.caption": "Apps on it", "apps.gone": "Apps that were on it before", "col.app": "App",
		"col.version": "Version", "col.publisher": "Publisher", "col.seen": "First seen",
		"col.removed": "Not seen since", "col.size": "Size",
		"apps.none":       "No apps of this device are held.",
		"group.inventory": "The device itself", "group.compliance": "Security", "group.ownership": "Owner and user",
		"more": "The latest %d of %d are shown here. All of them are in the file %s.",

		"about": "Actions that concern you",
		"about.p": "What administrators and systems did to you, your account " +
			"or your devices. Administrators are numbered; the same number is the same person.",
		"about.none": "No actions that concern you are recorded.", "about.caption": "Actions by others",
		"col.what": "What", "col.by": "By", "col.concerning": "Concerning", "col.changes": "What it changed",
		"col.result": "Result",
		"by":         "Your own actions",
		"by.p": "What you did yourself in the management of devices, or as an " +
			"operator of this ledger.",
		"by.none": "No actions by you are recorded.", "by.caption": "Your actions",
		"refusals": "What we refused to collect",
		"refusals.p": "Some data was offered to this ledger by its " +
			"sources and refused. We keep only that it happened, under which rule, and how much. The content was " +
			"not put into this ledger.",
		"refusals.none": "No refusal is recorded for your devices.", "refusals.caption": "Refused", "col.rule": "Rule",
		"col.count": "How much",
		"never":     "The rules of this ledger refuse, whatever a source offers:",
		"requests":  "Your requests",
		"requests.p": "Requests that you made under data protection law, and what " +
			"was done with them.",
		"requests.none":    "No requests are recorded up to this copy.",
		"requests.caption": "Requests", "col.details": "Details",
		"received": "received on %s", "due": "to be answered by %s", "identified": "identified %s",
		"views": "Who viewed your data",
		"views.p": "The recorded times at which somebody made your protected data " +
			"readable through this ledger. We do not name the staff member; the law asks for that only where it is " +
			"indispensable for you.",
		"views.none": "No viewing of your protected data is recorded up to this copy.", "views.caption": "Viewings",
		"col.report": "For",
		"other":      "Other records", "other.p": "Records that name you and belong to none of the parts above.",
		"other.caption": "Other records",
		"withheld":      "What we have withheld",
		"withheld.p": "The law lets us leave out what belongs to others. " +
			"We left out the following; its content is not described here.",
		"withheld.none": "No value was withheld.", "withheld.caption": "Withheld", "col.why": "Why",
		"ground.others": "It is the personal data of somebody else (Article 15(4) GDPR).",
		"ground.review": "It is free text that somebody wrote and that may speak of others. A person must read " +
			"it before it can be given.",
		"ground.unreadable": "The record is in a form that this version cannot read. Its date and kind are shown.",
		"state.erased":      "erased", "state.expired": "expired", "state.withheld": "withheld",
		"state.masked": "not shown",
		"state.lost":   "lost", "state.not-genuine": "not genuine",
		"states.not-genuine": "“Not genuine”: what stands in this place was not sealed for it. It is not shown.",
		"states.lost": "“Lost”: the key under which it was kept was lost with a part of our vault, and the " +
			"value with it.",
		"states": "Where a value is not there, it says why. “Erased”: the key to it was destroyed when the " +
			"person it was about was erased. “Expired”: its retention period has passed. “Withheld”: it belongs to " +
			"somebody else, or a person must read it first.",
		"glossary": "Words explained",
		"you":      "you", "administrator": "Administrator %s", "person": "Another person (%s)",
		"application": "an application", "system": "a system", "nobody": "not recorded",
		"disputed": "told otherwise by another record", "removed": "(no longer set)", "none": "(nothing)",
		"how": "How this copy was made",
		"how.p": "The ledger adds records and does not change earlier ones; this " +
			"package holds no signed proof of that yet. Personal values in it are locked; they were unlocked for " +
			"this copy, and that viewing is itself recorded in the ledger. The file manifest.json lists every " +
			"other file of this package with a fingerprint, and VERIFY.txt says how to check them.",
		"foot": "Request %s · tenant %s · ledger sequence %d · made %s",
	},
	"nl": {
		"title":    "Wat dit grootboek over u bewaart",
		"kind":     "Kopie van uw persoonsgegevens · artikel 15 AVG",
		"skip":     "Naar de inhoud",
		"contents": "In dit document",

		"fact.for": "Voor", "fact.made": "Gemaakt op", "fact.upto": "Doorzocht tot en met", "fact.zone": "Tijden",
		"upto": "nummer %d van het grootboek", "zone": "in de tijdzone %s",

		"letter.1": "U hebt gevraagd welke persoonsgegevens wij van u hebben. Dit document geeft antwoord voor één " +
			"systeem: het grootboek waarin wij bijhouden wat er gebeurt in het beheer van telefoons, tablets en " +
			"computers. U ziet, voor zover dit grootboek het aan u heeft gekoppeld: uw apparaten, wat beheerders " +
			"deden dat u aangaat, wat u zelf deed, en wie uw gegevens heeft ingezien.",
		"letter.2": "De aantekeningen die u hier leest staan ook in de map “data”, in bestanden die een programma " +
			"kan lezen. Achteraan staat een lijst met uitleg van woorden.",
		"empty.1": "U hebt gevraagd welke persoonsgegevens wij van u hebben. Dit document geeft antwoord voor één " +
			"systeem: het grootboek waarin wij bijhouden wat er gebeurt in het beheer van telefoons, tablets " +
			"en computers.",
		"empty.2": "Wij vonden in dit grootboek niets dat wij aan u kunnen koppelen: geen apparaten, geen " +
			"handelingen en geen kenmerken.",
		"empty.3": "Zijn uw gegevens eerder gewist? Dan blijven tijdstippen, soorten handelingen en willekeurige " +
			"nummers over; wie gegevens van buiten dit grootboek heeft, kan die misschien nog aan u koppelen.",
		"limits.1": "Deze kopie bevat de aantekeningen die dit grootboek aan u of uw apparaten heeft gekoppeld, " +
			"tot en met het nummer hierboven. Teksten die anderen schreven zijn niet op uw naam doorzocht. De " +
			"kopie zegt niets over Microsoft Intune, Microsoft Entra of andere systemen.",
		"limits.2": "Gegevens die anderen voor zich mogen houden, staan er niet in. Wat is weggelaten, hoeveel en " +
			"waarom, leest u onder “Wat wij hebben achtergehouden”.",

		"figure.devices": "apparaten", "figure.about": "aantekeningen over u",
		"figure.by": "aantekeningen van wat u deed", "figure.views": "keer zijn uw gegevens ingezien",
		"figure.since":   "eerste aantekening",
		"figure.device1": "apparaat", "figure.about1": "aantekening over u", "figure.by1": "aantekening van wat u deed",
		"figure.view1": "keer zijn uw gegevens ingezien",
		"overview":     "Wat wij bewaren, in één oogopslag",
		"overview.note": "Een aantekening is één ding dat op één moment is vastgelegd. Ook categorieën zonder " +
			"aantekeningen staan erbij.",
		"col.category": "Categorie", "col.records": "Aantal", "col.first": "Eerste", "col.last": "Laatste",
		"col.source": "Bron", "col.file": "Bestand in “data”",

		"category.devices": "Uw apparaten", "category.apps": "Apps op uw apparaten",
		"category.actions-about": "Handelingen die u aangaan", "category.actions-by": "Uw eigen handelingen",
		"category.refusals": "Wat wij weigerden te verzamelen", "category.requests": "Uw verzoeken",
		"category.views": "Wie uw gegevens heeft ingezien", "category.other": "Overige aantekeningen",

		"identity": "Hoe u hier bekend bent", "identity.p": "Aan deze kenmerken herkent dit grootboek u.",
		"identity.caption": "Uw kenmerken", "identity.none": "Er zijn geen kenmerken van u vastgelegd.",
		"col.kind": "Soort", "col.value": "Waarde", "col.last-seen": "Laatst gezien", "now": "nu",
		"unknown":  "niet bekend",
		"kind.upn": "Aanmeldnaam", "kind.email": "E-mailadres", "kind.object-id": "Nummer in de directory",
		"kind.name": "Naam",
		"devices":   "Uw apparaten", "devices.none": "Dit grootboek kent geen apparaat dat u had.",
		"devices.p": "Per apparaat: wat wij er nu van weten, sinds wanneer en van welke bron; dan wat er " +
			"veranderde; dan de apps. Van een apparaat waarvan u niet meer de gebruiker bent, ziet u alleen de " +
			"tijd waarin dit grootboek u als gebruiker kende.",
		"device":            "Apparaat %d",
		"device.held":       "Dit grootboek kent u als de gebruiker ervan sinds %s.",
		"device.heldto":     "Dit grootboek kende u als de gebruiker ervan van %s tot %s.",
		"device.of.company": "Het is van de organisatie.", "device.of.personal": "Het is uw eigen apparaat.",
		"current.caption": "Wat wij ervan weten", "current.ended": "Wat wij ervan wisten aan het einde van die tijd",
		"col.item": "Gegeven", "col.since": "Sinds",
		"history.caption": "Wat er veranderde",
		"history.note": "Waarden die elke dag veranderen, zoals het " +
			"laatste contact, staan niet in deze lijst maar in het bestand data/devices.csv.",
		"history.none": "Er zijn geen andere wijzigingen vastgelegd dan die van waarden die elke dag veranderen; " +
			"die staan in het bestand data/devices.csv.",
		"col.when": "Wanneer", "col.before": "Ervoor", "col.after": "Erna",
		"apps.caption": "Apps erop", "apps.gone": "Apps die er eerder op stonden", "col.app": "App",
		"col.version": "Versie", "col.publisher": "Uitgever", "col.seen": "Voor het eerst gezien",
		"col.removed": "Niet meer gezien sinds", "col.size": "Grootte",
		"apps.none":       "Van dit apparaat worden geen apps bewaard.",
		"group.inventory": "Het apparaat zelf", "group.compliance": "Beveiliging",
		"group.ownership": "Eigenaar en gebruiker",
		"more":            "U ziet hier de laatste %d van %d. Ze staan allemaal in het bestand %s.",

		"about": "Handelingen die u aangaan",
		"about.p": "Wat beheerders en systemen deden met u, uw account of uw " +
			"apparaten. Beheerders hebben een nummer; hetzelfde nummer is dezelfde persoon.",
		"about.none": "Er zijn geen handelingen vastgelegd die u aangaan.", "about.caption": "Handelingen van anderen",
		"col.what": "Wat", "col.by": "Door", "col.concerning": "Betreft", "col.changes": "Wat er veranderde",
		"col.result": "Resultaat",
		"by":         "Uw eigen handelingen",
		"by.p": "Wat u zelf deed in het beheer van apparaten, of als " +
			"medewerker die met dit grootboek werkt.",
		"by.none":    "Er zijn geen handelingen van u vastgelegd.",
		"by.caption": "Uw handelingen",
		"refusals":   "Wat wij weigerden te verzamelen",
		"refusals.p": "Sommige gegevens werden door een bron aangeboden en door dit grootboek geweigerd. Wij " +
			"bewaren alleen dát het gebeurde, volgens welke regel, en hoeveel. De inhoud is niet in dit " +
			"grootboek opgenomen.",
		"refusals.none": "Voor uw apparaten is geen weigering vastgelegd.", "refusals.caption": "Geweigerd",
		"col.rule": "Regel", "col.count": "Hoeveel",
		"never":    "De regels van dit grootboek weigeren, wat een bron ook aanbiedt:",
		"requests": "Uw verzoeken",
		"requests.p": "Verzoeken die u deed op grond van de privacywet, en wat " +
			"ermee is gedaan.",
		"requests.none":    "Tot aan deze kopie zijn geen verzoeken vastgelegd.",
		"requests.caption": "Verzoeken", "col.details": "Bijzonderheden",
		"received": "ontvangen op %s", "due": "uiterlijk te beantwoorden op %s", "identified": "herkend %s",
		"views": "Wie uw gegevens heeft ingezien",
		"views.p": "De vastgelegde keren dat iemand uw beschermde gegevens via dit grootboek leesbaar maakte. " +
			"Wij noemen de medewerker niet bij naam; de wet vraagt dat alleen als het voor u onmisbaar is.",
		"views.none":    "Tot aan deze kopie is geen inzage van uw beschermde gegevens vastgelegd.",
		"views.caption": "Inzagen", "col.report": "Voor",
		"other": "Overige aantekeningen",
		"other.p": "Aantekeningen die u noemen en in geen van de delen " +
			"hierboven passen.",
		"other.caption": "Overige aantekeningen",
		"withheld":      "Wat wij hebben achtergehouden",
		"withheld.p": "Wij mogen weglaten wat van anderen is. Dit " +
			"hebben wij weggelaten; de inhoud wordt hier niet beschreven.",
		"withheld.none": "Er is geen waarde achtergehouden.", "withheld.caption": "Achtergehouden", "col.why": "Waarom",
		"ground.others": "Het zijn persoonsgegevens van iemand anders (artikel 15, vierde lid, AVG).",
		"ground.review": "Het is vrije tekst die iemand schreef en die over anderen kan gaan. Een mens moet " +
			"die eerst lezen.",
		"ground.unreadable": "Deze aantekening heeft een vorm die deze versie niet kan lezen. De datum en het " +
			"soort ziet u wel.",
		"state.erased": "gewist", "state.expired": "verlopen", "state.withheld": "achtergehouden",
		"state.masked": "niet getoond",
		"state.lost":   "verloren", "state.not-genuine": "niet echt",
		"states.not-genuine": "“Niet echt”: wat op deze plaats staat, is er niet voor verzegeld. Het wordt niet getoond.",
		"states.lost": "“Verloren”: de sleutel waaronder het bewaard werd, is met een deel van onze kluis " +
			"verloren gegaan, en de waarde daarmee ook.",
		"states": "Waar een waarde ontbreekt, staat waarom. “Gewist”: de sleutel ertoe is vernietigd bij de " +
			"gegevenswissing van de persoon over wie het ging. “Verlopen”: de bewaartermijn is voorbij. " +
			"“Achtergehouden”: het is van iemand anders, of een mens moet het eerst lezen.",
		"glossary": "Uitleg van woorden",
		"you":      "u", "administrator": "Beheerder %s", "person": "Iemand anders (%s)",
		"application": "een toepassing", "system": "een systeem", "nobody": "niet vastgelegd",
		"disputed": "anders verteld door een ander record", "removed": "(niet meer ingesteld)", "none": "(niets)",
		"how": "Hoe deze kopie is gemaakt",
		"how.p": "Het grootboek voegt aantekeningen toe en verandert eerdere " +
			"niet; een ondertekend bewijs daarvan zit nog niet in dit pakket. Persoonlijke waarden staan er " +
			"versleuteld in; voor deze kopie zijn ze leesbaar gemaakt, en ook die inzage is in het grootboek " +
			"vastgelegd. Het bestand manifest.json noemt elk ander bestand van dit pakket met een vingerafdruk; in " +
			"VERIFY.txt staat hoe u die controleert.",
		"foot": "Verzoek %s · tenant %s · volgnummer %d · gemaakt %s",
	},
}

// neverCollected is what no source may bring into the ledger.
var neverCollected = map[string][]string{
	"en": {"call and web browsing history", "personal e-mail and text messages", "contacts and calendar",
		"passwords of personal accounts", "photos and files", "the location of a device"},
	"nl": {"bel- en surfgeschiedenis", "persoonlijke e-mail en sms-berichten", "contacten en agenda",
		"wachtwoorden van persoonlijke accounts", "foto's en bestanden", "de locatie van een apparaat"},
}

type term struct{ Label, Text string }

var glossary = map[string][]term{
	"en": {
		{"Compliance", "Whether a device meets the rules that the organisation set, such as having a passcode and " +
			"recent updates."},
		{"Enrolled", "The device was put under the management of the organisation."},
		{"Entra, directory", "Microsoft's list of the organisation's accounts and devices."},
		{"ICCID", "The number of a SIM card."},
		{"IMEI, MEID", "Numbers by which mobile networks recognise a device."},
		{"Intune", "Microsoft's system for managing phones, tablets and computers."},
		{"Ledger", "A register to which records are added. It does not change earlier ones."},
		{"MAC address", "A number by which a device is recognised on a network."},
		{"Record", "One thing that was noted at one time: a change of a device, an action, a viewing."},
		{"Retire", "To take a device out of management and remove the organisation's data from it. Your own data " +
			"is meant to stay."},
		{"Supervised", "A form of management in which the organisation may set more on an Apple device."},
		{"Wipe", "To reset a device from a distance to how it left the factory. It is not the erasure of your data " +
			"from this ledger."},
	},
	"nl": {
		{"Aantekening",
			"Eén ding dat op één moment is vastgelegd: een wijziging van een apparaat, een handeling, een inzage."},
		{"Buiten gebruik stellen", "Een apparaat uit het beheer halen en de gegevens van de organisatie ervan " +
			"verwijderen. Uw eigen gegevens horen te blijven staan."},
		{"Entra, directory", "De lijst van Microsoft met de accounts en apparaten van de organisatie."},
		{"Grootboek", "Een register waaraan aantekeningen worden toegevoegd. Eerdere verandert het niet."},
		{"ICCID", "Het nummer van een simkaart."},
		{"IMEI, MEID", "Nummers waaraan mobiele netwerken een apparaat herkennen."},
		{"Ingeschreven", "Het apparaat is onder het beheer van de organisatie gebracht."},
		{"Intune", "Het systeem van Microsoft voor het beheer van telefoons, tablets en computers."},
		{"MAC-adres", "Een nummer waaraan een apparaat in een netwerk wordt herkend."},
		{"Naleving", "Of een apparaat voldoet aan de regels van de organisatie, zoals een toegangscode en " +
			"recente updates."},
		{"Onder supervisie", "Een vorm van beheer waarbij de organisatie meer mag instellen op een " +
			"apparaat van Apple."},
		{"Op afstand wissen", "Een apparaat op afstand terugzetten naar hoe het uit de fabriek kwam. Dat is iets " +
			"anders dan gegevenswissing, waarbij de sleutels van uw gegevens in dit grootboek worden vernietigd."},
	},
}
