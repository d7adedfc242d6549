package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/feature"
)

// The levels of features are what UpdateFeatures has made them, by Kafka's rules, and ApiVersions tells them.
func TestUpdateFeatures(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	told := func(version int16) string {
		resp := ask[*kmsg.ApiVersionsResponse](c, version, kmsg.NewPtrApiVersionsRequest())
		var words []string
		for _, f := range resp.SupportedFeatures {
			words = append(words, fmt.Sprintf("%s %d-%d", f.Name, f.MinVersion, f.MaxVersion))
		}
		for _, f := range resp.FinalizedFeatures {
			words = append(words, fmt.Sprintf("%s=%d", f.Name, f.MaxVersionLevel))
		}
		return strings.Join(words, " ")
	}
	var supported, finalized []string
	for _, f := range feature.All {
		supported = append(supported, fmt.Sprintf("%s 0-%d", f.Name, f.Max))
		finalized = append(finalized, fmt.Sprintf("%s=%d", f.Name, f.Max))
	}
	for version, want := range map[int16]string{2: "", 3: strings.Join(finalized, " "), 4: strings.Join(append(supported, finalized...), " ")} {
		if got := told(version); got != want {
			t.Errorf("version %d tells %q, want %q", version, got, want)
		}
	}
	for _, step := range []struct {
		version int16
		feature string
		level   int16
		kind    int8
		only    bool
		want    string // part of the message
		now     string
	}{
		{2, "transaction.version", 1, 1, false, "Can't downgrade the version of this feature without", "=2"},
		{2, "transaction.version", 1, 2, true, "", "=2"},
		{2, "transaction.version", 1, 2, false, "", "=1"},
		{2, "transaction.version", 2, 3, false, "Can't downgrade to a newer version", "=1"},
		{2, "transaction.version", 3, 1, false, "only supports versions 0-2", "=1"},
		{2, "transaction.version", -1, 1, false, "cannot be less than 0", "=1"},
		{2, "transaction.version", 2, 4, false, "does not support the given upgrade type", "=1"},
		{2, "moon.version", 1, 1, false, "does not support this feature", "=1"},
		{0, "transaction.version", 0, 0, false, "Can't downgrade the version of this feature without", "=1"},
		{0, "transaction.version", 0, 1, false, "", "streams.version=1"},
		{1, "transaction.version", 2, 1, false, "", "=2"},
	} {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType, u.AllowDowngrade = step.feature, step.level, step.kind, step.kind == 1
		req.FeatureUpdates, req.ValidateOnly = append(req.FeatureUpdates, u), step.only
		resp := ask[*kmsg.UpdateFeaturesResponse](c, step.version, req)
		text := ""
		if resp.ErrorMessage != nil {
			text = *resp.ErrorMessage
		}
		if step.want == "" && (resp.ErrorCode != 0 || text != "" || (len(resp.Results) == 1) != (step.version < 2)) ||
			step.want != "" && (resp.ErrorCode != codeInvalidUpdateVersion || !strings.Contains(text, step.want)) {
			t.Errorf("%+v: code %d, %q, %+v", step, resp.ErrorCode, text, resp.Results)
		}
		if got := told(4); !strings.HasSuffix(got, step.now) {
			t.Errorf("%+v: then %q", step, got)
		}
	}
}
