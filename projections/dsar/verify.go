package dsar

import (
	"fmt"
	"strings"
)

var verifyTexts = map[string]string{
	"en": `HOW TO CHECK THIS PACKAGE

What it says
  This package is complete for what was searched: the records that this ledger, at
  sequence %[1]d, links to you or your devices. Texts that others wrote were not
  searched for your name. It says nothing of Intune, Entra or other systems.

Whether it is as it was made
  manifest.json lists every other file with its size and its SHA-256. To compare:
    Linux    sha256sum FILE
    macOS    shasum -a 256 FILE
    Windows  certutil -hashfile FILE SHA256
  A file that is missing from the manifest, or whose SHA-256 differs, is not as it
  was made. The SHA-256 of manifest.json itself is recorded in the ledger, in the
  request %[2]s; ask the organisation to compare it.

What is in it
  02-your-data.html, 02-uw-gegevens.html   to read, in English and in Dutch
  03-access-log.csv                        when your data was viewed
  05-withheld.csv                          what was left out, and why
  data/                                    the records, for programs; dictionary.json
                                           explains it, schema.json describes it

Signed checkpoint and proofs: none yet.
`,
	"nl": `HOE U DIT PAKKET CONTROLEERT

Wat het zegt
  Dit pakket is volledig voor wat is doorzocht: de aantekeningen die dit grootboek,
  tot en met volgnummer %[1]d, aan u of uw apparaten koppelt. Teksten die anderen
  schreven zijn niet op uw naam doorzocht. Het zegt niets over Intune, Entra of
  andere systemen.

Of het is zoals het is gemaakt
  manifest.json noemt elk ander bestand met zijn grootte en zijn SHA-256. Vergelijk:
    Linux    sha256sum BESTAND
    macOS    shasum -a 256 BESTAND
    Windows  certutil -hashfile BESTAND SHA256
  Een bestand dat niet in het manifest staat, of dat een andere SHA-256 heeft, is
  niet zoals het is gemaakt. De SHA-256 van manifest.json zelf is in het grootboek
  vastgelegd, bij verzoek %[2]s; vraag de organisatie om die te vergelijken.

Wat erin zit
  02-uw-gegevens.html, 02-your-data.html   om te lezen, in het Nederlands en Engels
  03-access-log.csv                        wanneer uw gegevens zijn ingezien
  05-withheld.csv                          wat is weggelaten, en waarom
  data/                                    de aantekeningen, voor programma's; dictionary.json
                                           legt het uit, schema.json beschrijft het

Ondertekend controlepunt en bewijzen: nog geen.
`,
}

// verify says how to check the package, in both languages, that of the request first.
func (d *dossier) verify() []byte {
	order := []string{"en", "nl"}
	if d.c.Lang == "nl" {
		order = []string{"nl", "en"}
	}
	var parts []string
	for _, lang := range order {
		parts = append(parts, fmt.Sprintf(verifyTexts[lang], d.p.Seq, d.p.Request))
	}
	return []byte(strings.Join(parts, "\n"+strings.Repeat("-", 80)+"\n\n"))
}
