package schemas

import "fmt"

// declareUpcasters declares how the default catalogue reads old versions. A type that grows
// another has all that it has, under the same names, and more: an event of the old one is read as
// one of the new, with its values as they are. The error names a type that grows what is no part
// of it.
func (c *Catalogue) declareUpcasters() error {
	for _, to := range c.Types() {
		if to.Grows == "" {
			continue
		}
		asItIs := Upcaster{To: to.Name, Apply: func(d Draft) (Draft, error) { return d, nil }}
		if err := c.RegisterUpcaster(to.Grows, asItIs); err != nil {
			return err
		}
		from := c.Type(to.Grows)
		for _, a := range from.Attributes() {
			was, list := from.Member(a)
			if is, isList := to.Member(a); is != was || isList != list {
				return fmt.Errorf("upcaster %s → %s: %s stands otherwise", from.Name, to.Name, a.ID)
			}
		}
	}
	return nil
}
