package fleet

import (
	"strconv"
	"strings"
)

// A person is one account of the source directory. id never changes; the rest may.
type person struct {
	id, given, family, local string
}

// An Account is what a fleet says of a person, as of the present day.
type Account struct {
	ID, UPN, Name string
	Devices       []string // ids of those whose last row names the person, gone ones too
	Actions       int      // distinct admin actions
}

func (p *person) display() string          { return p.given + " " + p.family }
func (p *person) upn(domain string) string { return p.local + "@" + domain }

// people is the directory: users first, then the administrators who are no users.
type people struct {
	all    []person
	users  int
	admins []int // index into all
	taken  map[string]int
}

func newPeople(c Config) *people {
	p := &people{users: c.Users, taken: make(map[string]int, c.Users)}
	for i := range c.Users {
		p.add(c, i)
	}
	for i := range c.Admins {
		if i%2 == 0 && i < c.Users {
			p.admins = append(p.admins, i)
			continue
		}
		p.admins = append(p.admins, len(p.all))
		p.add(c, c.Users+i)
	}
	return p
}

func (p *people) add(c Config, n int) {
	r := c.rng(forPerson, n)
	who := person{id: r.guid(), given: r.pick(givenNames), family: r.pick(familyNames)}
	who.local = p.free(who.given, who.family)
	p.all = append(p.all, who)
}

// rename gives a person another family name, as marriage does: the addresses
// change, the object id does not.
func (p *people) rename(i int, r *rng) {
	who := &p.all[i]
	who.family = r.pick(familyNames)
	who.local = p.free(who.given, who.family)
}

// free is a mailbox name nobody has or had.
func (p *people) free(given, family string) string {
	local := fold(given) + "." + fold(family)
	p.taken[local]++
	if n := p.taken[local]; n > 1 {
		// The number alone may meet no other name: names hold no digits.
		local += strconv.Itoa(n)
	}
	return local
}

var folding = strings.NewReplacer("á", "a", "à", "a", "ä", "ae", "å", "a", "ç", "c", "é", "e", "è", "e", "ë", "e",
	"ê", "e", "í", "i", "ï", "i",
	"ł", "l", "ñ", "n", "ó", "o", "ö", "oe", "ø", "o", "ő", "o", "š", "s", "ß", "ss", "ü", "ue", "ú", "u", "ž", "z",
	"ı", "i", "ś", "s", "ć", "c", " ", "", "'", "", "’", "", "-", "")

func fold(name string) string { return folding.Replace(strings.ToLower(name)) }

var givenNames = strings.Split("Anna,Bram,Carla,Daan,Eline,Femke,Gijs,Hanna,Ivo,Jasmijn,Koen,Lotte,"+
	"Maarten,Noor,Olaf,Pien,Quinten,Roos,"+
	"Sander,Tess,Umar,Vera,Wouter,Xenia,Youssef,Zoë,Amélie,Björn,Chloé,Dóra,Élodie,Fatima,Günther,Håkon,Inês,"+
	"José,Kristína,Łukasz,Małgorzata,Niño,Özge,Pål,Renée,Søren,Thérèse,Ursula,Vojtech,Wanda,Xavier,Yara,"+
	"Zeynep,Aisha,Bogdan,Chidi,Dilara,Emre,Farah,Grace,Hassan,Imani,Jamal,Kenji,Leila,Mei", ",")

var familyNames = strings.Split("Jansen,de Vries,van den Berg,Bakker,Visser,Smit,Meijer,"+
	"de Boer,Mulder,de Groot,Bos,Vos,Peters,Hendriks,"+
	"van Leeuwen,Dekker,Brouwer,de Wit,Dijkstra,Smits,de Graaf,van der Meer,Kok,Jacobs,van Dam,Müller,"+
	"Schröder,Weiß,Großmann,Kühn,Ångström,Sjöberg,Ødegaard,Nyström,García,Muñoz,Núñez,O'Neill,O’Brien,d'Arcy,"+
	"Le Guen,Lefèvre,Çelik,Yılmaz,Öztürk,Kowalski,Wiśniewska,Łukasik,Horvát,Szőke,Novák,Šimek,Žižka,Popescu,"+
	"Ionescu,Okafor,Adeyemi,Mensah,El Amrani,Benali,Haddad,Nguyen,Tran,Tanaka,Sato,Singh,Kaur,Patel,Rossi,"+
	"Ricci,Bianchi,Silva,Santos,Costa,Almeida,Fernandes,Petrov,Ivanova,Marković,Jovanović", ",")
