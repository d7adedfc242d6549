package kafka

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// hostile makes requests about groups that are well-formed and otherwise anything.
type hostile struct {
	*rand.Rand
	ids [][16]byte // of topics
}

func (h *hostile) text() string {
	of := []string{"g", "g", "h", "s", "s", "u", "m1", "m1", "m2", "m3", "i1", "a", "b", "gone", "", "uniform", "range", "0", "1", "[a-z]+", "(", ".{1000}{1000}", "\xff\xfe", "x\x00y", strings.Repeat("n", 300), "share.auto.offset.reset", "earliest", "consumer"}
	return of[h.IntN(len(of))]
}

func (h *hostile) number(bits int) int64 {
	switch h.IntN(8) {
	case 0:
		return []int64{math.MaxInt64, math.MinInt64, math.MaxInt32, math.MinInt32, math.MaxInt16, 255, 256, 1 << 40}[h.IntN(8)] >> (64 - bits) << (64 - bits) >> (64 - bits)
	case 1:
		return -int64(h.IntN(4))
	case 2:
		return int64(h.IntN(2000))
	}
	return int64(h.IntN(8))
}

// fill gives every field some value.
func (h *hostile) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "UnknownTags" && name != "Version" && v.Field(i).CanSet() {
				h.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		if h.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			h.fill(v.Elem())
		}
	case reflect.Slice:
		n := h.IntN(5) - 1
		if n < 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			h.fill(v.Index(i))
		}
	case reflect.Array:
		reflect.Copy(v, reflect.ValueOf(h.ids[h.IntN(len(h.ids))]))
	case reflect.String:
		v.SetString(h.text())
	case reflect.Bool:
		v.SetBool(h.IntN(3) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := h.number(v.Type().Bits())
		if v.OverflowInt(n) {
			n = int64(int8(n))
		}
		v.SetInt(n)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(uint8(h.number(8))))
	}
}

// unknown returns where in an answer UNKNOWN_SERVER_ERROR stands.
func unknown(v reflect.Value, at string) string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return unknown(v.Elem(), at)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if strings.HasSuffix(name, "ErrorCode") && v.Field(i).Int() == -1 {
				return fmt.Sprintf("%s.%s of %+v", at, name, v.Interface())
			}
			if found := unknown(v.Field(i), at+"."+name); found != "" {
				return found
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if found := unknown(v.Index(i), at); found != "" {
				return found
			}
		}
	}
	return ""
}

// Whatever a client says of groups, it gets an answer that knows why not, and the groups of others go on.
func TestHostileClientsOfGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		for _, name := range []string{"a", "b", "gone"} {
			k.create(name, samsa.TopicConfig{Partitions: 3})
		}
		h := &hostile{Rand: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))}
		h.ids = [][16]byte{k.topicID("a"), k.topicID("a"), k.topicID("b"), k.topicID("gone"), {}, {9}}
		k.produce("a", strings.TrimSpace(strings.Repeat("v ", 50)))
		if err := k.Topics().Delete(k.ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		keys := []kmsg.Key{kmsg.ConsumerGroupHeartbeat, kmsg.ConsumerGroupDescribe, kmsg.ShareGroupHeartbeat, kmsg.ShareGroupDescribe,
			kmsg.ShareFetch, kmsg.ShareAcknowledge, kmsg.StreamsGroupHeartbeat, kmsg.StreamsGroupDescribe, kmsg.DescribeShareGroupOffsets,
			kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.OffsetDelete,
			kmsg.DescribeGroups, kmsg.ListGroups, kmsg.DeleteGroups, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.IncrementalAlterConfigs}
		c := k.dial()
		seen := make(map[string]int)
		for n := range 60_000 {
			key := keys[h.IntN(len(keys))]
			req := key.Request()
			h.fill(reflect.ValueOf(req).Elem())
			e, _ := k.srv.find(int16(key))
			version := e.min + int16(h.IntN(int(e.max-e.min)+1))
			began := time.Now()
			if r, ok := req.(*kmsg.JoinGroupRequest); ok {
				r.RebalanceTimeoutMillis = min(r.RebalanceTimeoutMillis, 10000)
			}
			if r, ok := req.(*kmsg.IncrementalAlterConfigsRequest); ok {
				for i := range r.Resources {
					r.Resources[i].ResourceType = 32
				}
			}
			resp := ask[kmsg.Response](c, version, req)
			_ = began
			if found := unknown(reflect.ValueOf(resp), key.Name()); found != "" {
				t.Errorf("%d: %s %d: %s\n%+v", n, key.Name(), version, found, req)
				return
			}
			if f := reflect.ValueOf(resp).Elem().FieldByName("ErrorCode"); f.IsValid() {
				seen[key.Name()+" "+codeName(int16(f.Int()))]++
			}
			if h.IntN(200) == 0 {
				c.Close()
				c = k.dial()
			}
			if h.IntN(20) == 0 {
				time.Sleep(time.Duration(h.IntN(20_000)) * time.Millisecond)
			}
		}
		for s, n := range seen {
			t.Log(n, s)
		}
	})
}
