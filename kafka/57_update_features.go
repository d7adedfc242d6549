package kafka

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/feature"
)

// The upgrade types of UpdateFeatures.
const (
	featureUpgrade         = 1
	featureUnsafeDowngrade = 3
)

// UpdateFeatures: sets the levels of features (KIP-584), all that the request names or none.
//
// Versions 0 to 2. Downgrades, safe or not, are the same here: nothing that is stored depends on a level.
// A feature that is named twice has the level of the last time.
func (c *call) updateFeatures(req *kmsg.UpdateFeaturesRequest) kmsg.Response {
	resp := kmsg.NewPtrUpdateFeaturesResponse()
	levels := make(map[string]int16)
	var err error
	for _, u := range req.FeatureUpdates {
		levels[u.Feature] = u.MaxVersionLevel
	}
	for i := range req.FeatureUpdates {
		u := &req.FeatureUpdates[i]
		if c.version == 0 {
			u.UpgradeType = featureUpgrade
			if u.AllowDowngrade {
				u.UpgradeType = featureUnsafeDowngrade
			}
		}
		if why := c.featureRefusal(u); why != "" {
			err = protocolError{codeInvalidUpdateVersion, fmt.Sprintf("The update failed for all features since the following feature had an error: "+
				"Invalid update version %d for feature %s. %s", u.MaxVersionLevel, u.Feature, why)}
			break
		}
	}
	if err == nil && !req.ValidateOnly && len(levels) > 0 {
		err = c.s.in.Features.Set(c.ctx, levels)
	}
	resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(err), message(err)
	if err == nil && c.version <= 1 {
		for _, u := range req.FeatureUpdates {
			r := kmsg.NewUpdateFeaturesResponseResult()
			r.Feature = u.Feature
			resp.Results = append(resp.Results, r)
		}
	}
	return resp
}

// featureRefusal says why a level cannot be set, and is "" if it can.
func (c *call) featureRefusal(u *kmsg.UpdateFeaturesRequestFeatureUpdate) string {
	i := slices.IndexFunc(feature.All, func(f feature.Feature) bool { return f.Name == u.Feature })
	now := c.s.in.Features.Level(u.Feature)
	switch {
	case u.UpgradeType < featureUpgrade || u.UpgradeType > featureUnsafeDowngrade:
		return "The controller does not support the given upgrade type."
	case u.MaxVersionLevel < 0:
		return "A feature version cannot be less than 0."
	case i < 0 && u.MaxVersionLevel > 0:
		return fmt.Sprintf("Broker %d does not support this feature.", c.s.opts.NodeID)
	case i >= 0 && u.MaxVersionLevel > feature.All[i].Max:
		return fmt.Sprintf("Broker %d only supports versions 0-%d", c.s.opts.NodeID, feature.All[i].Max)
	case u.MaxVersionLevel < now && u.UpgradeType == featureUpgrade:
		return "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
	case u.MaxVersionLevel > now && u.UpgradeType != featureUpgrade:
		return "Can't downgrade to a newer version."
	}
	return ""
}
