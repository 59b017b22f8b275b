//go:build canary

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What stands open stands there for ever. This file plants, in every position that may
// stand open, what is somebody's all the same: names, addresses, numbers, days, and native
// ids of persons and devices.

// birthDate is a day on which somebody was born, in one of the forms that
// could be a version or a day.
func (p *canaryPlan) birthDate(k keeper, layout string) *canary {
	at := time.Date(1921, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, p.random.IntN(60*365))
	return p.add(&canary{form: formWord, in: k, text: at.Format(layout)}, string(k)+" birth date")
}

// marked is what the test knows of these records beside their canaries.
type marked struct {
	folder      string
	gone        []*canary // Intune ids of devices that go with anna
	bareNumbers []bareNumber
}

// bare is a number that is too short to be looked for in files: where it may not
// stand open, the events tell.
func (w *canaryWorld) bare(attribute string) string {
	n := fmt.Sprint(10000 + w.random.IntN(90000))
	w.bareNumbers = append(w.bareNumbers, bareNumber{attribute, n})
	return n
}

type bareNumber struct{ attribute, text string }

// planted returns the canary that a field holds, be it with a sign before it.
func (w *canaryWorld) planted(field any) *canary {
	text := strings.TrimPrefix(field.(string), "+")
	i := slices.IndexFunc(w.all, func(c *canary) bool { return c.text == text })
	return w.all[i]
}

// mark puts into every open position of a device what its own record tells elsewhere
// of its user or of itself.
func (w *canaryWorld) mark(d object, ids keeper, user canaryPerson) object {
	phone := w.planted(d["phoneNumber"]).of("device.carrier")
	serial := w.planted(d["serialNumber"]).of("device.os-edition")
	d["model"] = "laptop van " + user.name.of("device.model")
	d["manufacturer"] = user.id.of("device.manufacturer")
	d["operatingSystem"] = user.upn.of("device.operating-system")
	d["skuFamily"] = user.email.of("device.sku-family")
	d["subscriberCarrier"] = phone
	d["osVersion"] = w.birthDate(ids, "2.1.2006").of("device.os-version")
	d["androidSecurityPatchLevel"] = w.birthDate(ids, "2006-01-02").of("device.security-patch-level")
	d["hardwareInformation"].(object)["operatingSystemEdition"] = serial
	for field, attribute := range inOrder(map[string]string{"deviceType": "device.device-type",
		"deviceEnrollmentType": "device.enrolment-type", "joinType": "device.join-type",
		"deviceRegistrationState": "device.registration-state", "chassisType": "device.chassis"}) {
		d[field] = user.id.of(attribute)
	}
	for field, attribute := range inOrder(map[string]string{"managementAgent": "device.management-agent",
		"managementState": "device.management-state", "processorArchitecture": "device.processor",
		"lostModeState": "device.lost-mode", "partnerReportedThreatState": "device.threat-state",
		"complianceState": "device.compliance-state"}) {
		d[field] = w.bare(attribute)
	}
	return d
}

// markRow does so in Azure Monitor's form.
func (w *canaryWorld) markRow(row object, ids keeper, user canaryPerson) object {
	p := row["properties"].(object)
	p["SubscriberCarrierNetwork"] = "tel. " + w.planted(p["PhoneNumber"]).of("device.carrier")
	p["Manufacturer"] = user.upn.of("device.manufacturer") // the model is a positive control
	w.planted(p["Model"]).id = "model of the marked row"
	p["OS"], p["SkuFamily"] = user.id.of("device.operating-system"), user.email.of("device.sku-family")
	p["OSVersion"] = w.birthDate(ids, "2006.01.02").of("device.os-version")
	p["JoinType"], p["DeviceState"] = w.bare("device.join-type"), w.bare("device.management-state")
	return row
}

// markedActions are actions in whose open positions ids of persons and devices stand, and secrets
// under names that look like settings.
func (w *canaryWorld) markedActions(at time.Time) []any {
	action := func(what string, resources []any, actor object) object {
		actor["auditActorType"], actor["userId"] = "ItPro", w.admin.id.text
		actor["userPrincipalName"] = w.admin.upn.text + canaryDomain
		return object{"@odata.type": "#microsoft.graph.auditEvent",
			"id":          w.guid(native, "audit event id of "+what).text,
			"displayName": "Patch DeviceConfiguration", "componentName": "DeviceConfiguration", "activity": nil,
			"activityDateTime": at.Format(time.RFC3339), "activityType": "Patch DeviceConfiguration",
			"activityOperationType": "Patch", "activityResult": "Success", "category": "DeviceConfiguration",
			"correlationId": w.guid(native, "correlation id of "+what).text, "actor": actor, "resources": resources}
	}
	resource := func(kind, id string, changes ...any) object {
		return object{"displayName": nil, "auditResourceType": kind, "resourceId": id,
			"modifiedProperties": append([]any{}, changes...)}
	}
	change := func(name, value string) object {
		return object{"displayName": name, "oldValue": "<null>", "newValue": value}
	}
	company, personal := w.devices[0].text, w.personal.text
	directory := w.all[slices.IndexFunc(w.all, func(c *canary) bool {
		return c.id == string(anna)+" directory id"
	})].text
	ids := action("ids in open positions", []any{
		resource("WindowsAutopilotDeploymentProfile", w.anna.id.of("action.target-id")),
		resource("MobileAppAssignment", w.bram.id.of("action.target-id")),
		resource("DeviceCategory", company), resource("DeviceConfigurationAssignment", personal),
		resource("DeviceEnrollmentLimitProfile", directory),
	}, object{"applicationId": w.admin.id.of("action.application-id")})
	ids["category"] = w.bare("action.category")
	// The application is really somebody else's id; the same record gives it to a person.
	user := resource("User", w.anna.id.text)
	user["displayName"] = w.word(anna, "").of("action.target-name")
	of := action("a person's id as application", []any{user}, object{"applicationId": w.anna.id.text,
		"servicePrincipalName": w.word(admin, "").of("action.actor-name")})
	secrets := action("secrets", []any{resource("DeviceConfiguration", "0d6f2d1c-9f1e-4c56-8f0e-6a0f6d1b7c55",
		change("PinCode", "1234"), change("Passcode", "0000"),
		change("LocalAdminPasswordHistory", "P@ssw0rd!"+w.word(never, "password in a history").text),
		change("PasswordState", w.word(never, "password in a state").text),
		change("PasswordMinimumLength", "12"))}, object{"applicationId": "5926fc8e-304e-4f59-8bed-58ca97cc39a4"})
	return []any{ids, of, secrets}
}

// markedSecrets are how many values of the marked actions are withheld, markedTaken
// how many records are taken.
const markedSecrets, markedTaken = 4, 6

// markedRecords writes them.
func (w *canaryWorld) markedRecords(at time.Time, write func(name string, records ...any)) {
	company := w.mark(w.graphDevice(brams, w.bram, "company", at), brams, w.bram)
	private := w.mark(w.graphDevice(anna, w.anna, "personal", at), anna, w.anna)
	w.gone = append(w.gone, w.devices[len(w.devices)-1])
	write("marked-devices.json", company, private)
	write("marked-row.json", w.markRow(w.azureDevice(brams, w.bram, at), brams, w.bram))
	write("marked-actions.json", w.markedActions(at)...)
}

// keptOpen checks what no scanner finds: numbers of a few digits that may not stand
// open, and secrets of a few.
func (c *canaryNode) keptOpen(ctx context.Context) {
	c.t.Helper()
	drafts, plain := c.events(ctx)
	settings := 0
	for _, d := range drafts {
		for _, v := range d.Values {
			for _, n := range c.w.bareNumbers {
				if v.Attr.ID == n.attribute && strings.Contains(string(v.Plain), n.text) {
					c.t.Errorf("a bare number stands open in %s", n.attribute)
				}
			}
			if v.Attr.ID != "action.changes" {
				continue
			}
			var changes []struct{ Name, Old, New string }
			if err := json.Unmarshal([]byte(plain[v.Token]), &changes); plain[v.Token] != "" && err != nil {
				c.t.Errorf("changed properties cannot be read: %v", err)
			}
			for _, p := range changes {
				switch p.Name {
				case "PinCode", "Passcode", "LocalAdminPasswordHistory", "PasswordState":
					if p.Old+p.New != "" {
						c.t.Errorf("a value of %s is kept", p.Name)
					}
				case "PasswordMinimumLength":
					if p.New == "12" {
						settings++
					}
				}
			}
		}
	}
	if settings == 0 {
		c.t.Error("a setting about a password is not kept")
	}
}
