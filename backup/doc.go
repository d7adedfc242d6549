// Package backup keeps a copy of a broker's data elsewhere that can be restored to any moment: a base, which is a snapshot, and
// the frame of each commit since, shipped as it becomes durable.
//
//	go backup.Run(ctx, backup.Of(b, backup.SourceOptions{}), backup.Folder("/mnt/backup"), backup.Options{Keep: 30 * 24 * time.Hour})
//	...
//	b, restored, err := backup.Restore(ctx, "data", backup.Folder("/mnt/backup"), backup.Moment{Time: noon}, samsa.Options{})
//
// # What is in the target
//
//	g00000001-5f0c8a12/                              a generation: one unbroken history; its number, and the beginning of its id
//	  begin.json                                     whose it is
//	  base-COMMIT-MS.snap                            a snapshot that has all commits up to one, made at that time
//	  reach-COMMIT-MS.json                           all commits up to that one are there: the newest is not known by others
//	  seg-FIRST-LAST-LEVEL-MS.seg                    the frames of these commits; all commits up to that time are in it and before
//
// Commits have 20 digits, times are in ms since the epoch, by the clock of the broker. A segment is written each second
// in which something was stored. Sixty of them become one of the next level, and so do sixty of these, as long as that has less than
// 64 MiB, and then and when nothing more is to be copied it is noted how far they reach. A segment that lies within another one is a left-over. Its format is in docs/format.md.
//
// # What is promised
//
// An object of the target is whole or not there (Target.Put). Segments follow one another without a gap, from the first base
// of the generation on. What is restored is the base, checked, and all frames behind it up to the moment, checked: one
// state that the broker has had. So it is known of every commit whether it is in the backup, and a segment that is missing or damaged
// is told, never passed over. Of the newest ones that holds up to where it was noted last.
//
// The broker keeps value files until their commits are in the target, whether Run runs or not, also when either process is
// killed: who goes on ships what is missing. If that takes more than SourceOptions.MaxHeld, or the disk is full, the broker gives it up, and the backup
// begins anew: the next generation. Moments between two generations cannot be restored, which Restore says.
package backup
