package registry_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa/samsatest"
)

// Metadata and rules are kept, also by a registry that is opened again, go on with the next version, make another schema of the same text, and are what a
// version is found by.
func TestContracts(t *testing.T) {
	ctx := t.Context()
	b := samsatest.New(t)
	w, end := open(t, b)
	given := sr.Schema{Schema: v1, SchemaMetadata: &sr.SchemaMetadata{
		Tags:       map[string][]string{"Order.id": {"PII"}},
		Properties: map[string]string{"owner": "shop", "stage": "1"},
		Sensitive:  []string{"owner"},
	}, SchemaRuleSet: &sr.SchemaRuleSet{DomainRules: []sr.SchemaRule{{
		Name: "positive", Kind: sr.SchemaRuleKindCondition, Mode: sr.SchemaRuleModeWrite, Type: "CEL", Tags: []string{"PII"},
		Params: map[string]string{"a": "b"}, Expr: "message.id > 0", OnSuccess: "NONE", OnFailure: "ERROR", Disabled: true,
	}}}}
	plain := w.add("plain", v1)
	first, err := w.CreateSchema(ctx, "a", given)
	if err != nil || first.ID == plain || !reflect.DeepEqual(first.SchemaMetadata, given.SchemaMetadata) || !reflect.DeepEqual(first.SchemaRuleSet, given.SchemaRuleSet) {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := w.CreateSchema(ctx, "a", given); err != nil || again.Version != 1 || again.ID != first.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if id := w.add("a", v1); id != first.ID {
		t.Errorf("without them it has id %d", id)
	}
	w.add("a", v2)
	given.SchemaMetadata.Properties["stage"] = "2"
	if s, err := w.CreateSchema(ctx, "a", given); err != nil || s.Version != 3 {
		t.Errorf("other metadata: %+v, %v", s, err)
	}
	for range 2 {
		for path, want := range map[string]string{
			"?key=stage&value=1":                       `"version":2`,
			"?key=stage&value=2":                       `"version":3`,
			"?key=stage&value=2&key=owner&value=shop":  `"version":3`,
			"?key=stage&value=2&key=owner&value=other": `"error_code":40403`,
			"": `"version":3`,
		} {
			if is := w.say("GET", "/subjects/a/metadata"+path, ""); !strings.Contains(is, want) {
				t.Errorf("%s: %s, want %s", path, is, want)
			}
		}
		if is := w.say("GET", "/subjects/none/metadata", ""); !strings.Contains(is, "40401") {
			t.Error(is)
		}
		if s, err := w.SchemaByVersion(ctx, "a", 2); err != nil || s.Schema.Schema != v2 || !reflect.DeepEqual(s.SchemaRuleSet, given.SchemaRuleSet) || s.SchemaMetadata.Properties["stage"] != "1" {
			t.Errorf("the second: %+v, %v", s, err)
		}
		if s, err := w.SchemaByGUID(ctx, first.GUID); err != nil || s.Schema.Schema != v1 || s.Subject != "a" {
			t.Errorf("by its GUID %s: %+v, %v", first.GUID, s, err)
		}
		end()
		w, end = open(t, b)
	}
}
