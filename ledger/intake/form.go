package intake

// Form is a placeholder until source files come.
type Form struct{ Name string }

var deviceForms = []Form{{kindManagedDevice}, {kindDevice}}
var auditForms = []Form{{kindAuditEvent}, {kindAuditLog}}
var accountForms = []Form{{"users"}}
