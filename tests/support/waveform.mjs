// Reads a waveform's JSON from its standard input with waveform-data.js, which peaks.js reads it with, and says what that found.
import { text } from "node:stream/consumers";
import WaveformData from "waveform-data";

const waveform = WaveformData.create(JSON.parse(await text(process.stdin)));
const channel = waveform.channel(0);
const half = waveform.resample({ width: Math.floor(waveform.length / 2) });
console.log(
  JSON.stringify({
    channels: waveform.channels,
    bits: waveform.bits,
    duration: waveform.duration,
    second: waveform.seconds_per_pixel,
    least: channel.min_array(),
    greatest: channel.max_array(),
    half: half.length,
  }),
);
