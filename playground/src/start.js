import { page } from "./playground.js";

page();
