package intake

import (
	"strings"
	"testing"
)

// Which setting made a device noncompliant and why an enrolment failed is told, of the device and
// its user; what is text is sealed under them, and a record that is told again tells nothing.
func TestAlertsTellWhyADeviceDoesNotComplyAndWhyAnEnrolmentFailed(t *testing.T) {
	noncompliant := inCategory("OperationalLogs", map[string]any{"OperationalLogCategory": "DeviceCompliance",
		"AlertType": "Managed Device Not Compliant", "AlertDisplayName": "Managed Device ANNA-LT is not Compliant",
		"Description": "DefaultDeviceCompliancePolicy.RequireRemainContact||Expected recent contact of ANNA-LT",
		"DeviceName":  "ANNA-LT", "DeviceOperatingSystem": "Windows 10.0.26100.2894", "IntuneDeviceId": guid(20, 1),
		"IntuneUserId": guid(10, 1), "UserName": "anna", "UPNSuffix": "contoso.example"})
	failed := inCategory("OperationalLogs", map[string]any{"OperationalLogCategory": "DeviceEnrollment",
		"EnrollmentType": "WindowsAzureADJoin", "FailureCategory": "Enrollment Restrictions Enforced",
		"FailureReason": "Anna has too many devices", "IntuneDeviceId": guid(20, 1), "IntuneUserId": guid(10, 7),
		"MessageId": guid(70, 1), "Os": "Windows", "OsVersion": "10.0.26100.1742"})
	failed["resultType"] = "Failure"
	w := newWorld(t, true)
	w.importToldAt(asLine(aDetailedDevice()))
	before := len(w.events())
	s := w.importToldAt(asLine(noncompliant) + "\n" + asLine(failed))
	if s.Recorded != 2 || s.EventsAppended != 2 {
		t.Fatalf("%s", asJSON(t, s))
	}
	told := w.canonical()
	for _, want := range []string{`alert.category[] = "compliance"`, `alert.category[] = "enrolment"`,
		`alert.kind[] = "managedDeviceNotCompliant"`, `alert.policy[] = "DefaultDeviceCompliancePolicy"`,
		`alert.setting[] = "RequireRemainContact"`, `alert.result[] = "failure"`,
		`alert.failure-category[] = "enrollmentRestrictionsEnforced"`, `alert.enrolment-type[] = "windowsAzureADJoin"`,
		"Anna has too many devices", `alert.os-version[] = "10.0.26100.2894"`, "alert.device[] = "} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told", want)
		}
	}
	for _, e := range w.events()[before:] {
		for _, sealed := range []string{"ANNA", "Anna", "anna", "10.0.26100", guid(20, 1), guid(10, 1), guid(10, 7),
			guid(70, 1)} {
			if strings.Contains(string(e.Data)+string(e.Metadata)+string(e.Stream), sealed) {
				t.Errorf("%s stands open in %s", sealed, e.Type)
			}
		}
		if !strings.Contains(string(e.Metadata), `"role":"user"`) {
			t.Errorf("%s names nobody", e.Type)
		}
	}
	if s := w.importToldAt(asLine(failed) + "\n" + asLine(noncompliant)); s.EventsAppended != 0 || s.Unchanged != 2 {
		t.Errorf("told again: %s", asJSON(t, s))
	}
}

// A setting that somebody named, and a reason that no list knows, are sealed.
func TestWhatSomebodyTypedInAnAlertIsSealed(t *testing.T) {
	w := newWorld(t, true)
	w.importToldAt(asLine(inCategory("OperationalLogs", map[string]any{"OperationalLogCategory": "DeviceCompliance",
		"Description": "CustomPolicyOfPieter.CheckPieter||x", "IntuneDeviceId": guid(20, 1),
		"FailureCategory": "Pieter", "AlertType": "Pieter"})))
	for _, e := range w.events() {
		if strings.Contains(string(e.Data), "Pieter") {
			t.Errorf("%s: %s", e.Type, e.Data)
		}
	}
}

// A record of which nothing tells what it is about fails by field.
func TestAnAlertThatCannotBeToldApartFails(t *testing.T) {
	w := newWorld(t, true)
	s := w.importFiles(map[string]string{"x": asLine(inCategory("OperationalLogs",
		map[string]any{"OperationalLogCategory": "DeviceCompliance"}))})
	if s.FailedCount != 1 || len(w.events()) != 0 {
		t.Errorf("%s", asJSON(t, s))
	}
}

// A troubleshooting event without an id, or one that says of no enrolment that it failed, fails by
// field; one whose reason the source does not know tells that it failed.
func TestATroubleshootingEventTellsOfAnEnrolment(t *testing.T) {
	event := func(more object) string {
		out := object{"@odata.context": graphBase + "deviceManagement/troubleshootingEvents/$entity",
			"id": guid(30, 1), "eventDateTime": "2026-02-28T08:00:00Z", "correlationId": guid(31, 1)}
		for name, v := range more {
			out[name] = v
		}
		return asLine(out)
	}
	for _, c := range []struct {
		more   object
		failed string // field
	}{
		{object{}, "failureCategory"},
		{object{"failureCategory": "authorization", "id": "7"}, "id"},
		{object{"failureCategory": "authorization", "eventDateTime": "soon"}, "eventDateTime"},
		{object{"failureCategory": object{"a": 1}}, "failureCategory"},
		{object{"failureCategory": "unknown"}, ""},
		{object{"@odata.type": "#microsoft.graph.enrollmentTroubleshootingEvent"}, ""},
		{object{"failureReason": "x", "troubleshootingErrorDetails": object{"failure": "No licence",
			"failureDetails": "Assign one.", "resources": []any{object{"link": "https://x.example"}}}}, ""},
	} {
		w := newWorld(t, true)
		s := w.importFiles(map[string]string{"x": event(c.more)})
		switch {
		case c.failed == "" && (s.Recorded != 1 || len(s.UnknownFields) != 0):
			t.Errorf("%v: %s", c.more, asJSON(t, s))
		case c.failed != "" && (s.FailedCount != 1 || s.Failed[0].Field != c.failed || len(w.events()) != 0):
			t.Errorf("%v: %s", c.more, asJSON(t, s))
		}
		w.close()
	}
}
